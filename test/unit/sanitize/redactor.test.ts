/** Profiles: what each adds, several at once, and that nothing is ever shown because of one. */
import { describe, expect, test } from "bun:test";
import { objectText, readObject } from "../../../src/protocol/json-view.ts";
import { createRedactor } from "../../../src/sanitize/redactor.ts";

const profiles = [
  { name: "personal", fields: ["email", "hiv_positive", "city"], textPatterns: [] },
  { name: "cards", fields: [], textPatterns: ["[0-9]{16}", "(?i)iban:? ?[a-z0-9]+"] },
];
const options = {
  isEnabled: true,
  extraFields: ["colour"],
  excludedFields: ["token", "city"],
  profiles,
};
const redact = createRedactor(options);

function masked(value: object, profile?: string, by = redact) {
  const outcome = by(readObject(JSON.stringify(value)), profile);
  return "fault" in outcome ? outcome.fault.reason : JSON.parse(objectText(outcome.result));
}
const gone = "[redacted]";

describe("fields", () => {
  const person = {
    structuredContent: { Email: "a@b", password: "p", colour: "red", token: "t", x: 1 },
  };

  test("without a profile: what the configuration says for all", () => {
    expect(masked(person).structuredContent).toEqual({
      ...person.structuredContent,
      password: gone,
      colour: gone,
    });
  });

  test("with one: its fields besides", () => {
    expect(masked(person, "personal").structuredContent).toEqual({
      ...person.structuredContent,
      Email: gone,
      password: gone,
      colour: gone,
    });
  });

  test("a field that a profile lists tells nothing, not even yes or no; but that it is empty", () => {
    const value = { structuredContent: { hiv_positive: true, email: null } };
    expect(masked(value, "personal").structuredContent).toEqual({
      hiv_positive: gone,
      email: null,
    });
  });

  test("a profile's field is masked though the configuration excepts it", () => {
    const value = { structuredContent: { city: "Ulm", token: "t" } };
    expect(masked(value, "personal").structuredContent).toEqual({ city: gone, token: "t" });
  });

  test("a name written with an escape is the same name", () => {
    const outcome = redact(readObject('{"structuredContent":{"\\u0065mail":"a@b"}}'), "personal");
    expect("fault" in outcome ? "" : objectText(outcome.result)).not.toContain("a@b");
  });
});

describe("patterns", () => {
  const card = "4111111111111111";

  test("inside texts, whatever field they are in, and the words around stay", () => {
    const value = { content: [{ type: "text", text: `pay ${card}, IBAN: de12 now` }] };
    expect(masked(value, "cards")).toEqual({
      content: [{ type: "text", text: `pay ${gone}, ${gone} now` }],
    });
  });

  test("in JSON inside text, and in numbers as a whole", () => {
    const inner = JSON.stringify({ n: Number(card), s: card, k: 1 });
    const value = {
      content: [{ type: "text", text: inner }],
      structuredContent: { n: Number(card) },
    };
    const out = masked(value, "cards");
    expect(JSON.parse(out.content[0].text)).toEqual({ n: gone, s: gone, k: 1 });
    expect(out.structuredContent).toEqual({ n: gone });
  });

  test("not in what the protocol needs, nor in bytes", () => {
    const value = {
      _meta: { a: card },
      content: [
        { type: "image", mimeType: "image/png", data: card },
        { type: "resource", resource: { uri: `x:${card}`, blob: card } },
      ],
    };
    expect(masked(value, "cards")).toEqual(value);
  });

  test("a member of the server's own called like them is searched", () => {
    const value = { structuredContent: { uri: card, data: card } };
    expect(masked(value, "cards").structuredContent).toEqual({ uri: gone, data: gone });
  });

  test("what is too long to be searched is withheld", () => {
    const value = { structuredContent: { text: "x".repeat(1024 * 1024) } };
    expect(masked(value, "cards")).toBe("redaction-too-large");
    expect(masked(value)).toEqual(value);
  });
});

test("several at once are all of them", () => {
  const value = { structuredContent: { email: "a@b", note: "4111111111111111" } };
  expect(masked(value, "cards+personal").structuredContent).toEqual({ email: gone, note: gone });
});

test("one nobody knows, alone or among others, withholds", () => {
  expect(masked({}, "other")).toBe("redaction-profile");
  expect(masked({}, "cards+other")).toBe("redaction-profile");
});

test("switched off for all, a profile still holds for those it is meant for", () => {
  const off = createRedactor({ ...options, isEnabled: false });
  const value = { structuredContent: { password: "p", email: "a@b" } };
  expect(masked(value, undefined, off)).toEqual(value);
  expect(masked(value, "personal", off).structuredContent).toEqual({ password: "p", email: gone });
});

test("a pattern that cannot be used refuses the start", () => {
  const broken = [{ name: "x", fields: [], textPatterns: ["("] }];
  expect(() => createRedactor({ ...options, profiles: broken })).toThrow('profile "x"');
});
