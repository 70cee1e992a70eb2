/**
 * A replay for people: what it comes to in a few lines, then who would notice, most calls first. Called by
 * `admin-verbs.ts` for the messages of Replay; values come from records and are cleaned.
 */
import { clean, type Output } from "./output.ts";

type Message = Readonly<Record<string, unknown>>;

/** What each change means to whoever made the calls. */
const changes: Readonly<Record<string, string>> = {
  REPLAY_CHANGE_NEWLY_DENIED: "DENIED",
  REPLAY_CHANGE_NEWLY_ALLOWED: "ALLOWED",
  REPLAY_CHANGE_OBLIGATIONS: "owes else",
  REPLAY_CHANGE_UNDETERMINED: "unknown",
};

export function renderReplayProgress(progress: Message, output: Output): void {
  output.note(`${count(progress.calls)} calls read, back to ${time(progress.time_ms)}`);
}

export function renderReplayReport(report: Message, output: Output): void {
  const rows = [
    ["newly denied", report.newly_denied],
    ["newly allowed", report.newly_allowed],
    ["other obligations", report.obligations_changed],
    ["unchanged", report.unchanged],
    ["undetermined", report.undetermined],
  ] as const;
  const period = `${time(report.first_time_ms)} to ${time(report.last_time_ms)}`;
  const calls = Number(report.calls);
  const extent = calls === 0 ? "no calls were recorded then" : period;
  output.line(
    `Draft ${clean(String(report.draft))} over ${count(calls)} recorded calls, ${extent}`,
  );
  for (const [name, value] of rows) output.line(`  ${name.padEnd(18)} ${count(value)}`);
  if (report.complete !== true) output.line("Not the whole period: calls_max or the time was up.");
  if (Number(report.drifted) > 0) {
    output.line(
      `${count(report.drifted)} calls were decided by something else when they were made.`,
    );
  }
  renderLines(messages(report.lines), output);
  if (Number(report.without_line) > 0) {
    output.line(`${count(report.without_line)} more calls in the counts have no line here.`);
  }
  for (const { reason, calls: of } of messages(report.reasons)) {
    output.line(`undetermined, ${count(of)} calls: ${clean(String(reason))}`);
  }
}

function renderLines(lines: readonly Message[], output: Output): void {
  if (lines.length === 0) return;
  output.line();
  output.table(
    ["would be", "calls", "principal", "server", "target", "now by", "then by", "for example"],
    lines.map((line) => [
      changes[String(line.change)] ?? String(line.change),
      count(line.calls),
      String(line.principal),
      String(line.server),
      String(line.target),
      String(line.decided_now),
      String(line.decided_then),
      exampleOf(line),
    ]),
  );
}

/** Where to find one of the calls: `audit query --correlation-id`, or its place in the log. */
function exampleOf(line: Message): string {
  const [first] = messages(line.examples);
  if (first === undefined) return "";
  const { correlation_id, log_id, seq } = first;
  return correlation_id ? String(correlation_id) : `${String(log_id)}/${String(seq)}`;
}

function messages(value: unknown): readonly Message[] {
  return Array.isArray(value) ? value : [];
}

function count(value: unknown): string {
  return Number(value).toLocaleString("en-US");
}

function time(value: unknown): string {
  return new Date(Number(value)).toISOString();
}
