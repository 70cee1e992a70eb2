/**
 * The command line's only writer. Results go to stdout, everything about them to stderr. Text from elsewhere (servers,
 * records, agents) passes `clean` first, so that no control character reaches the terminal.
 */
export type Style = "bold" | "dim" | "green" | "red" | "yellow" | "cyan";

export interface Output {
  /** One line of the result, on stdout. */
  line(text?: string): void;
  /** One JSON document on one line, on stdout. */
  json(value: unknown): void;
  /** One line about what happens, on stderr. */
  note(text: string): void;
  /** Columns as wide as their widest cell, on stdout; cells are cleaned. */
  table(header: readonly string[], rows: readonly (readonly string[])[]): void;
  /** Colours the text where the terminal wants colours. */
  paint(style: Style, text: string): string;
}

export interface OutputOptions {
  write(text: string): void;
  writeNote(text: string): void;
  readonly color: boolean;
}

const codes: Readonly<Record<Style, readonly [number, number]>> = {
  bold: [1, 22],
  dim: [2, 22],
  green: [32, 39],
  red: [31, 39],
  yellow: [33, 39],
  cyan: [36, 39],
};

const cellWidthMax = 60;

export function createOutput({ write, writeNote, color }: OutputOptions): Output {
  const paint: Output["paint"] = (style, text) => {
    const [on, off] = codes[style];
    return color ? `\u001b[${on}m${text}\u001b[${off}m` : text;
  };
  return {
    line: (text = "") => write(`${text}\n`),
    json: (value) => write(`${JSON.stringify(value)}\n`),
    note: (text) => writeNote(`${text}\n`),
    table: (header, rows) => {
      for (const [index, line] of renderTable(header, rows).entries()) {
        write(`${index === 0 ? paint("bold", line) : line}\n`);
      }
    },
    paint,
  };
}

/** The text without control characters, which could move the cursor or rewrite what was printed before. */
export function clean(text: string): string {
  return text.replace(/[\p{Cc}\p{Cf}\u2028\u2029]/gu, (char) => (char === "\t" ? " " : "\ufffd"));
}

function renderTable(
  header: readonly string[],
  rows: readonly (readonly string[])[],
): readonly string[] {
  const cells = [header, ...rows].map((row) => row.map((cell) => shorten(clean(cell))));
  const widths = header.map((_, column) =>
    Math.max(...cells.map((row) => Bun.stringWidth(row[column] ?? ""))),
  );
  return cells.map((row) =>
    row
      .map((cell, column) => cell + " ".repeat((widths[column] ?? 0) - Bun.stringWidth(cell)))
      .join("  ")
      .trimEnd(),
  );
}

function shorten(cell: string): string {
  return cell.length <= cellWidthMax ? cell : `${cell.slice(0, cellWidthMax - 1)}…`;
}
