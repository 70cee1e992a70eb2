/**
 * Random JSON source text with everything that a careless relay would normalise: white space, spelling of numbers and
 * strings, odd names, depth. Every text is valid, bounded, and free of names that hold secrets. Seeded.
 */
type Random = (below: number) => number;

/** One member as it stands in the text: `key`, `colon` with the white space around it, `value`. */
export interface MemberText {
  readonly key: string;
  readonly colon: string;
  readonly value: string;
  /** White space before the name and after the value. */
  readonly before: string;
  readonly after: string;
}

export interface ObjectTexts {
  readonly members: readonly MemberText[];
  /** Inside of an empty object. */
  readonly empty: string;
}

export interface JsonTexts {
  readonly random: Random;
  /** White space between two tokens, mostly none. */
  space(): string;
  value(depth: number): string;
  string(): string;
  /** A member with this (plain) name, spelt in one of several ways, around this value. */
  member(name: string, value: string): MemberText;
  /** Members under random names that differ from each other and from protocol names. */
  members(count: number, depth: number): readonly MemberText[];
  pick<T>(choices: readonly T[]): T;
}

/** No digit may follow or precede these when names are put together: each is whole. */
const oddNames = [
  "a",
  "A",
  "b\u0000",
  "__proto__",
  "constructor",
  "toString",
  "caf\u00e9",
  "cafe\u0301",
  "\u0430",
  "\u05d0\u202e\u05d1",
  "\u{1f600}",
  "\u{1f468}\u200d\u{1f469}",
  " ",
  "",
  "x-vendor",
  "vendor.example/flag",
  "Method",
  "NAME",
  "id",
  "jsonrpc",
  "error",
  "\u2028",
  "\ufeff",
  '"',
  "\\",
  "0",
  "-0",
  "1e1",
];

const literals = [
  "plain",
  "caf\u00e9",
  "cafe\u0301",
  "\u05e9\u05dc\u05d5\u05dd \u202eabc",
  "\u0645\u0631\u062d\u0628\u0627",
  "\u{1f600}\u{1f468}\u200d\u{1f469}\u200d\u{1f467}",
  "\u{10ffff}\ufffe\uffff",
  "\u2028\u2029",
  "\ufeff",
  "\ufffd",
  "\u007f\u0080\u009f",
  "\u{1d11e}",
  "a\u0300\u0301\u0302",
  "data: x",
  "id: 1",
];
const escapes = [
  "\\n",
  "\\r\\n",
  "\\t",
  "\\b\\f",
  "\\/",
  "/",
  '\\"',
  "\\\\",
  "\\u0000",
  "\\u0041",
  "\\u00e9",
  "\\u00E9",
  "\\ud83d\\ude00",
  "\\ud83d",
  "\\uDE00",
  "\\uFEFF",
  "\\u2028",
  "\\u001f",
  "\\\\u0041",
];
const numbers = [
  "0",
  "-0",
  "0.0",
  "-0.0e-0",
  "1",
  "-1",
  "1.0",
  "1.10",
  "100000000000000000000",
  "9007199254740992",
  "9007199254740993",
  "-9007199254740993",
  "18446744073709551617",
  "0.1000000000000000055511151231257827021181583404541015625",
  "3.141592653589793238462643383279502884197169399375105820974944592307816406286",
  "1e400",
  "-1E+400",
  "1e-400",
  "2.5E-7",
  "1E0",
  "123456789012345678901234567890.12345678901234567890e-10",
];
const spaces = [" ", "  ", "\t", "\n", "\r\n", "\r", " \n\t ", "\n\n"];

export function createJsonTexts(random: Random): JsonTexts {
  const pick = <T>(choices: readonly T[]): T => choices[random(choices.length)] as T;
  const space = () => (random(6) === 0 ? pick(spaces) : "");

  function string(): string {
    let inner = "";
    for (let parts = random(5); parts > 0; parts -= 1) {
      inner += random(2) === 0 ? pick(literals) : pick(escapes);
    }
    if (random(400) === 0) inner += "long ".repeat(2_000);
    return `"${inner}"`;
  }

  /** The name in JSON, some of its characters as escapes. */
  function spell(name: string): string {
    const plain = JSON.stringify(name);
    if (random(8) !== 0 || name === "") return plain;
    const code = name.charCodeAt(0).toString(16).padStart(4, "0");
    return `"\\u${random(2) === 0 ? code : code.toUpperCase()}${JSON.stringify(name.slice(1)).slice(1)}`;
  }

  function number(): string {
    if (random(3) > 0) return pick(numbers);
    const digits = Array.from({ length: 1 + random(30) }, () => random(10)).join("");
    return `${random(2) === 0 ? "-" : ""}${1 + random(9)}${digits}`;
  }

  function member(name: string, value: string): MemberText {
    const colon = `${space()}:${space()}`;
    return { key: spell(name), colon, value, before: space(), after: space() };
  }

  function members(count: number, depth: number): readonly MemberText[] {
    const first = random(oddNames.length);
    return Array.from({ length: Math.min(count, oddNames.length) }, (_, at) =>
      member(oddNames[(first + at) % oddNames.length] ?? "", value(depth - 1)),
    );
  }

  function value(depth: number): string {
    if (random(300) === 0) return deep(20 + random(25));
    if (depth <= 0) return scalar();
    switch (random(4)) {
      case 0:
        return renderObject({ members: members(random(5), depth), empty: space() });
      case 1:
        return array(Array.from({ length: random(5) }, () => value(depth - 1)));
      default:
        return scalar();
    }
  }

  function scalar(): string {
    const kind = random(8);
    if (kind < 4) return string();
    return kind < 7 ? number() : pick(["true", "false", "null"]);
  }

  function array(elements: readonly string[]): string {
    const inner = elements.map((element) => space() + element + space()).join(",");
    return `[${elements.length === 0 ? space() : inner}]`;
  }

  /** One value inside so many arrays and objects. */
  function deep(levels: number): string {
    let text = scalar();
    for (let level = 0; level < levels; level += 1) {
      text =
        random(2) === 0
          ? array([text])
          : renderObject({ members: [member("in", text)], empty: "" });
    }
    return text;
  }

  return { random, space, value, string, member, members, pick };
}

/** The object's text; `replaced` gives members (by the decoded name) another value, and undefined leaves them out. */
export function renderObject(
  { members, empty }: ObjectTexts,
  replaced: Readonly<Record<string, string>> = {},
): string {
  if (members.length === 0) return `{${empty}}`;
  const texts = members.map((member) => {
    const name = JSON.parse(member.key) as string;
    const value = Object.hasOwn(replaced, name) ? replaced[name] : member.value;
    return member.before + member.key + member.colon + value + member.after;
  });
  return `{${texts.join(",")}}`;
}
