/**
 * The demo's tour: on every transport one call that policy allows and one it refuses, a reply whose secret is masked,
 * and for each the audit record found over gRPC. Tells whether everything was as expected.
 */
import { systemClock } from "../lib/clock.ts";
import { type AgentTransport, withAgent } from "./agent-client.ts";
import { type CommandContext, messageOf } from "./command.ts";
import { renderContent } from "./invoke.ts";
import type { LocalGateway } from "./local-gateway.ts";
import { clean } from "./output.ts";

interface Step {
  readonly transport: AgentTransport;
  readonly tool: string;
  readonly given: Record<string, unknown>;
  readonly expected: "success" | "denied";
  /** What the result must contain, and what it must not. */
  readonly shows: string;
  readonly hides?: string;
}

interface Ending {
  readonly status: "success" | "denied" | "failed";
  readonly text: string;
}

interface TourOptions {
  readonly gateway: LocalGateway;
  readonly token: string;
  readonly clientId: string;
}

const titles: Readonly<Record<AgentTransport, string>> = {
  http: "Streamable HTTP",
  sse: "HTTP+SSE",
  websocket: "WebSocket",
};

const refused = { tool: "notes__delete_note", given: { name: "welcome" }, shows: "" } as const;

const steps: readonly Step[] = [
  {
    transport: "http",
    tool: "calculator__exact_calculate",
    given: { operator: "add", operands: ["0.1", "0.2"] },
    expected: "success",
    shows: '"0.3"',
  },
  { transport: "http", ...refused, expected: "denied" },
  {
    transport: "sse",
    tool: "notes__search_notes",
    given: { text: "gateway" },
    expected: "success",
    shows: "welcome",
  },
  { transport: "sse", ...refused, expected: "denied" },
  {
    transport: "websocket",
    tool: "calculator__exact_convert_units",
    given: { value: "26.2", from: "mi", to: "km" },
    expected: "success",
    shows: "42.1648128",
  },
  { transport: "websocket", ...refused, expected: "denied" },
  {
    transport: "http",
    tool: "notes__secret_note",
    given: {},
    expected: "success",
    shows: "money",
    hides: "correct horse",
  },
];

const recordWaitMs = 10_000;
const recordPollMs = 50;
const textWidthMax = 90;

/** Takes every step and prints it; resolves with true where all of them ended as expected. */
export async function runTour(tour: TourOptions, context: CommandContext): Promise<boolean> {
  const { output } = context;
  const seen = new Set<string>();
  let isAsExpected = true;
  let title = "";
  for (const step of steps) {
    if (context.stop.aborted) return false;
    const next = step.hides === undefined ? titles[step.transport] : "Masking";
    if (next !== title) output.line(`\n  ${output.paint("bold", next)}`);
    title = next;
    const ending = await take(step, tour);
    const record = await findRecord(step, tour, seen);
    const isRight = isEndingRight(step, ending) && record !== undefined;
    isAsExpected &&= isRight;
    printStep(step, ending, record, isRight, context);
  }
  const verdict = isAsExpected ? "Everything was as expected." : "Not everything was as expected.";
  output.line(`\n  ${output.paint(isAsExpected ? "green" : "red", verdict)}\n`);
  return isAsExpected;
}

async function take(step: Step, { gateway, token }: TourOptions): Promise<Ending> {
  const options = { url: gateway.agentsUrl, scope: "all", token, transport: step.transport };
  try {
    const result = await withAgent(options, (client) =>
      client.callTool({ name: step.tool, arguments: step.given }),
    );
    const text = renderContent(result.content).join(" ");
    return { status: result.isError === true ? "failed" : "success", text };
  } catch (error) {
    return { status: "denied", text: messageOf(error) };
  }
}

function isEndingRight(step: Step, { status, text }: Ending): boolean {
  const isMasked = step.hides === undefined || !text.includes(step.hides);
  return status === step.expected && text.includes(step.shows) && isMasked;
}

/** The newest outcome of this client that no earlier step owns; records reach the database shortly after the call. */
async function findRecord(
  step: Step,
  { gateway, clientId }: TourOptions,
  seen: Set<string>,
): Promise<FoundRecord | undefined> {
  const filter = { client: clientId, event: "call.outcome", status: step.expected };
  const giveUpMs = systemClock.monotonicMs() + recordWaitMs;
  while (systemClock.monotonicMs() < giveUpMs) {
    const { records } = await gateway.admin("AuditService", "QueryRecords", {
      filter,
      order: "RECORD_ORDER_NEWEST_FIRST",
      page_size: 50,
    });
    const found = toRecords(records).find((record) => isOwn(record, step, seen));
    if (found !== undefined) {
      seen.add(keyOf(found));
      return found;
    }
    await new Promise((resolve) => setTimeout(resolve, recordPollMs));
  }
  return undefined;
}

interface FoundRecord {
  readonly logId: string;
  readonly seq: string;
  readonly method: string;
  readonly tool: string;
}

function toRecords(records: unknown): readonly FoundRecord[] {
  if (!Array.isArray(records)) return [];
  return records.map((record: Readonly<Record<string, unknown>>) => ({
    logId: String(record.log_id),
    seq: String(record.seq),
    method: String(record.method),
    tool: String(record.tool ?? ""),
  }));
}

function keyOf(record: FoundRecord): string {
  return `${record.logId}/${record.seq}`;
}

/** A refused target may be recorded without its server's name, or not at all. */
function isOwn(record: FoundRecord, step: Step, seen: ReadonlySet<string>): boolean {
  if (seen.has(keyOf(record)) || record.method !== "tools/call") return false;
  return step.tool.endsWith(record.tool);
}

function printStep(
  step: Step,
  ending: Ending,
  record: FoundRecord | undefined,
  isRight: boolean,
  { output }: CommandContext,
): void {
  const mark = isRight ? output.paint("green", "✓") : output.paint("red", "✗");
  const word = step.expected === "success" ? "allowed" : "refused";
  const given = Object.keys(step.given).length === 0 ? "" : ` ${JSON.stringify(step.given)}`;
  const text = clean(ending.text);
  const shown = text.length > textWidthMax ? `${text.slice(0, textWidthMax)}…` : text;
  output.line(`  ${mark} ${word}  ${step.tool}${output.paint("dim", given)}`);
  output.line(`             ${shown}`);
  const place = record === undefined ? "not found" : `${record.seq} of log ${record.logId}`;
  output.line(`             ${output.paint("dim", `record ${place}`)}`);
}
