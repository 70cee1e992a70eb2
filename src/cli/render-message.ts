/**
 * An admin answer for people: a list of objects as a table, one object as indented `name: value` lines. Values come
 * from elsewhere and are cleaned.
 */
import { clean, type Output } from "./output.ts";

type Message = Readonly<Record<string, unknown>>;

const columnsMax = 7;
const pageFields = new Set(["next_page_token", "state_revision"]);

/** Columns worth their width, for the lists whose objects have too many. */
const preferredColumns: Readonly<Record<string, readonly string[]>> = {
  records: ["seq", "time_ms", "event", "status", "decision", "principal", "server", "tool"],
  servers: ["name", "description", "enabled", "era", "call_timeout_ms", "max_in_flight"],
  clients: ["id", "display_name", "enabled", "allowed_tools", "allowed_resources", "roles"],
};

export function renderMessage(message: Message, output: Output): void {
  const entries = Object.entries(message);
  const list = findList(entries);
  if (list === undefined) {
    const lines = renderLines(message, "");
    for (const line of lines.length === 0 ? ["done"] : lines) output.line(line);
    return;
  }
  const rows: readonly Message[] = Array.isArray(list[1]) ? list[1].filter(isMessage) : [];
  if (rows.length === 0) output.note("none");
  else renderRows(list[0], rows, output);
  for (const [name, value] of entries) {
    if (name === "next_page_token" && value) output.note(`more: --page-token ${String(value)}`);
  }
}

/** The list of a page of objects: whatever else the answer holds only says where the page stands. */
function findList(entries: readonly (readonly [string, unknown])[]) {
  const others = entries.filter(([name]) => !pageFields.has(name));
  const [only] = others;
  if (only === undefined || others.length > 1) return undefined;
  return Array.isArray(only[1]) && only[1].every(isMessage) ? only : undefined;
}

function renderRows(list: string, rows: readonly Message[], output: Output): void {
  const names = Object.keys(rows[0] ?? {});
  const columns = names.filter((name) =>
    rows.some((row) => isPlain(row[name]) && !isBlank(row[name]) && !name.endsWith("_json")),
  );
  const shown = preferredColumns[list] ?? columns.slice(0, columnsMax);
  output.table(
    shown.map((name) => name.replaceAll("_", " ")),
    rows.map((row) => shown.map((name) => renderPlain(name, row[name]))),
  );
  if (shown.length < columns.length) output.note("(--json shows every field)");
}

function renderLines(value: Message, indent: string): readonly string[] {
  return Object.entries(value).flatMap(([name, inner]) => {
    const label = `${indent}${name.replaceAll("_", " ")}:`;
    if (isMessage(inner)) {
      const lines = renderLines(inner, `${indent}  `);
      return lines.length === 0 ? [] : [label, ...lines];
    }
    if (Array.isArray(inner) && inner.some(isMessage)) {
      return [label, ...inner.map((one) => `${indent}  - ${clean(JSON.stringify(one))}`)];
    }
    if (typeof inner === "string" && inner.trimEnd().includes("\n")) {
      return [
        label,
        ...inner
          .trimEnd()
          .split("\n")
          .map((line) => `${indent}  | ${clean(line)}`),
      ];
    }
    return isBlank(inner) ? [] : [`${label} ${renderPlain(name, inner)}`];
  });
}

function renderPlain(name: string, value: unknown): string {
  if (name.endsWith("_at_ms") || name === "time_ms") return renderTime(value);
  if (Array.isArray(value)) return clean(value.join(", "));
  return clean(String(value ?? ""));
}

function renderTime(value: unknown): string {
  return typeof value === "number" && value > 0 ? new Date(value).toISOString() : "";
}

function isBlank(value: unknown): boolean {
  return value === "" || value === null || (Array.isArray(value) && value.length === 0);
}

function isPlain(value: unknown): boolean {
  return !isMessage(value) && !(Array.isArray(value) && value.some(isMessage));
}

function isMessage(value: unknown): value is Message {
  return (
    typeof value === "object" &&
    value !== null &&
    !Array.isArray(value) &&
    !(value instanceof Uint8Array)
  );
}
