/**
 * Finds the position of every key in a YAML text that Bun.YAML has already accepted, and the constructs the
 * configuration refuses. It reads block and flow collections and skips scalars; it decides no values.
 */
export interface Position {
  readonly line: number;
  readonly column: number;
}

export interface KeyScan {
  readonly keys: ReadonlyMap<string, Position>;
  readonly problems: readonly (Position & { readonly message: string })[];
}

/** A collection that is open while scanning. `indent` is -1 for flow collections. */
interface Frame {
  readonly indent: number;
  readonly path: string;
  readonly kind: "map" | "list";
  readonly seen: Set<string>;
  index: number;
  /** Path of the value being read: the last key or list place of this frame. */
  child: string;
}

const keyPattern =
  /^("(?:[^"\\]|\\.)*"|'(?:[^']|'')*'|[^\s#,[\]{}"'&*!|>][^#,[\]{}]*?)\s*:(?=\s|$)/;
const flowKeyPattern = /^("(?:[^"\\]|\\.)*"|'(?:[^']|'')*'|[^\s,[\]{}"'][^,[\]{}:]*?)\s*:/;

export function scanKeys(text: string): KeyScan {
  const keys = new Map<string, Position>();
  const problems: (Position & { message: string })[] = [];
  const block: Frame[] = [];
  const flow: Frame[] = [];
  let scalarIndent: number | undefined;

  const addKey = (frame: Frame, written: string, position: Position) => {
    const name = written.replace(/^(["'])(.*)\1$/s, "$2");
    const path = frame.path === "" ? name : `${frame.path}.${name}`;
    if (frame.seen.has(name)) {
      const first = keys.get(path);
      problems.push({
        ...position,
        message: `"${name}" is given twice; first in line ${first?.line}`,
      });
    } else keys.set(path, position);
    if (name === "<<") problems.push({ ...position, message: "merge keys are not supported" });
    frame.seen.add(name);
    frame.child = path;
  };

  const enter = (kind: Frame["kind"], indent: number, path: string): Frame => {
    return { kind, indent, path, seen: new Set<string>(), index: -1, child: path };
  };

  /** Reads what follows a key or dash on one line; returns true where it opens a block scalar. */
  const readValue = (rest: string, line: number, offset: number, path: string): boolean => {
    if (/^[&*!]/.test(rest)) {
      const message = "anchors, aliases and tags are not supported; write the value out";
      problems.push({ line, column: offset + 1, message });
    }
    if (/^[|>][+-]?\d?\s*(#.*)?$/.test(rest)) return true;
    if (/^[[{]/.test(rest)) readFlow(rest, line, offset, path);
    return false;
  };

  const readFlow = (source: string, line: number, offset: number, path: string) => {
    let at = 0;
    let isKeyPlace = flow.length > 0 && flow.at(-1)?.kind === "map";
    while (at < source.length) {
      const char = source.charAt(at);
      const top = flow.at(-1);
      const rest = source.slice(at);
      if (char === "#" && (at === 0 || /\s/.test(source.charAt(at - 1)))) return;
      if (char === "{" || char === "[") {
        if (top?.kind === "list" && top.index < 0) top.index = 0;
        const parent = top === undefined ? path : placeOf(top);
        flow.push(enter(char === "{" ? "map" : "list", -1, parent));
        isKeyPlace = char === "{";
        at += 1;
      } else if (char === "}" || char === "]") {
        flow.pop();
        isKeyPlace = false;
        at += 1;
        if (flow.length === 0) return;
      } else if (char === ",") {
        if (top?.kind === "list") top.index += 1;
        isKeyPlace = top?.kind === "map";
        at += 1;
      } else if (/\s/.test(char)) {
        at += 1;
      } else {
        const found = isKeyPlace && top !== undefined ? flowKeyPattern.exec(rest) : null;
        if (found?.[1] !== undefined && top !== undefined) {
          addKey(top, found[1], { line, column: offset + at + 1 });
          isKeyPlace = false;
          at += found[0].length;
        } else {
          const scalar = /^("(?:[^"\\]|\\.)*"|'(?:[^']|'')*'|[^,[\]{}\s]+)/.exec(rest);
          at += scalar?.[0].length ?? 1;
        }
      }
    }
  };

  const placeOf = (frame: Frame): string =>
    frame.kind === "list" ? `${frame.path}[${Math.max(frame.index, 0)}]` : frame.child;

  text.split(/\r?\n/).forEach((source, lineIndex) => {
    const line = lineIndex + 1;
    const indentOf = source.length - source.trimStart().length;
    if (scalarIndent !== undefined) {
      if (source.trim() === "" || indentOf > scalarIndent) return;
      scalarIndent = undefined;
    }
    if (source.trim() === "" || source.trimStart().startsWith("#")) return;
    if (flow.length > 0) {
      readFlow(source, line, 0, "");
      return;
    }
    if (/^---(\s|$)/.test(source)) {
      if (block.length > 0) {
        problems.push({ line, column: 1, message: "one document a file; remove this separator" });
      }
      return;
    }
    let offset = indentOf;
    let rest = source.slice(offset);
    while (true) {
      const isDash = /^-(\s|$)/.test(rest);
      const found = isDash ? null : keyPattern.exec(rest);
      if (!isDash && found === null) {
        readValue(rest, line, offset, block.at(-1)?.child ?? "");
        return;
      }
      // A list may sit at the indentation of the key it belongs to; a map key there ends the list.
      while (block.length > 0) {
        const top = block.at(-1);
        if (top === undefined) break;
        const closes =
          top.indent > offset || (top.indent === offset && top.kind === "list" && !isDash);
        if (!closes) break;
        block.pop();
      }
      let frame = block.at(-1);
      const kind = isDash ? "list" : "map";
      if (frame === undefined || frame.indent < offset || frame.kind !== kind) {
        frame = enter(kind, offset, frame?.child ?? "");
        block.push(frame);
      }
      if (isDash) {
        frame.index += 1;
        frame.child = `${frame.path}[${frame.index}]`;
        keys.set(frame.child, { line, column: offset + 1 });
        const after = rest.slice(1);
        offset += 1 + after.length - after.trimStart().length;
        rest = after.trimStart();
        if (rest === "" || rest.startsWith("#")) return;
        continue;
      }
      const written = found?.[1] ?? "";
      addKey(frame, written, { line, column: offset + 1 });
      const after = rest.slice(found?.[0].length ?? 0);
      const value = after.trimStart();
      const opensScalar = readValue(value, line, offset + rest.length - value.length, frame.child);
      if (opensScalar) scalarIndent = frame.indent;
      return;
    }
  });
  return { keys, problems };
}
