/** The matrix as Markdown, and its place in docs/protocol.md. */
import { join } from "node:path";
import { repository } from "../support/gateway-process.ts";
import { clientColumns } from "./clients/columns.ts";
import { type Exception, exceptions } from "./exceptions.ts";
import { features } from "./features/all.ts";
import { serverRows } from "./servers/rows.ts";
import { countOf, type Judged } from "./verdict.ts";

const page = join(repository, "docs/protocol.md");
const opening = "<!-- written by `npm run matrix -- --write`: do not edit -->";
const closing = "<!-- end of the matrix -->";

export function renderTable(judged: readonly Judged[]): string {
  const noted = exceptions.filter((one) => judged.some(({ exception }) => exception === one));
  const head = ["server \\ client", ...clientColumns.map(({ title }) => title)];
  const rows = serverRows.map(({ id, title }) => [
    `**${title}**`,
    ...clientColumns.map((column) =>
      renderPair(
        judged.filter(({ server, client }) => server === id && client === column.id),
        noted,
      ),
    ),
  ]);
  const line = (cells: readonly string[]) => `| ${cells.join(" | ")} |`;
  return [
    renderCount(judged),
    "",
    line(head),
    line(head.map(() => "---")),
    ...rows.map(line),
    "",
    ...noted.map(({ kind, reason }, at) =>
      kind === "gap" ? `${at + 1}. **A gap of ours**: ${reason}` : `${at + 1}. ${reason}`,
    ),
  ].join("\n");
}

function renderCount(judged: readonly Judged[]): string {
  const names = features.map(({ letter, name }) => `${letter} ${name}`).join(", ");
  const gaps = countOf(judged, "gap");
  return `${judged.length} cells, each a client, a server and a feature (${names}): ${countOf(judged, "works")} work,
${countOf(judged, "impossible")} are impossible for the reasons below, ${gaps === 0 ? "none is" : `**${gaps} are**`} left to do. ✓ is every feature; a number says which are missing
and why.`;
}

function renderPair(cells: readonly Judged[], noted: readonly Exception[]): string {
  const notes = new Set(
    cells.flatMap(({ exception }) => (exception === undefined ? [] : [noted.indexOf(exception)])),
  );
  const marks = [...notes].sort().map((at) => `<sup>${at + 1}</sup>`);
  const broken = cells.filter(({ verdict }) => verdict === "failed");
  const letters = features.filter(({ name }) => broken.some(({ feature }) => feature === name));
  if (letters.length > 0) return `✗ ${letters.map(({ letter }) => letter).join("")}`;
  const works = cells.some(({ verdict }) => verdict === "works");
  return `${works ? "✓" : "–"}${marks.join("")}`;
}

/** What the page holds now. */
export async function readTable(): Promise<string> {
  const [, rest = ""] = (await Bun.file(page).text()).split(`${opening}\n`);
  return rest.split(`\n${closing}`)[0] ?? "";
}

export async function writeTable(table: string): Promise<void> {
  const text = await Bun.file(page).text();
  const [before, rest] = text.split(opening);
  const after = rest?.split(closing)[1];
  if (before === undefined || after === undefined) throw new Error(`no place for it in ${page}`);
  await Bun.write(page, `${before}${opening}\n${table}\n${closing}${after}`);
}
