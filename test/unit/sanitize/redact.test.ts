/** Masking in results: structured content, JSON inside text, resources, prompts; and withholding at the bounds. */
import { describe, expect, test } from "bun:test";
import { objectText, readObject } from "../../../src/protocol/json-view.ts";
import { type RedactOptions, redactResult } from "../../../src/sanitize/redact.ts";

function redact(source: string, options?: RedactOptions) {
  const outcome = redactResult(readObject(source), options);
  return "fault" in outcome
    ? { reason: outcome.fault.reason }
    : { text: objectText(outcome.result), masked: outcome.masked };
}

const asText = (value: unknown) =>
  JSON.stringify({
    content: [{ type: "text", text: typeof value === "string" ? value : JSON.stringify(value) }],
  });

const gone = '"[redacted]"';

describe("S01 masking", () => {
  const table: readonly [name: string, source: string, want: string, masked: number][] = [
    [
      "structured content",
      '{"structuredContent":{"user":"a","password":"x"}}',
      `{"structuredContent":{"user":"a","password":${gone}}}`,
      1,
    ],
    [
      "spacing and other bytes stay",
      '{ "structuredContent" : {"n":1.0,\t"token" :\n"x" , "u":"\\/"} }',
      `{ "structuredContent" : {"n":1.0,\t"token" :\n${gone} , "u":"\\/"} }`,
      1,
    ],
    [
      "numbers, objects and arrays",
      '{"a":{"ssn":123,"credentials":{"k":[1]},"secrets":[1,{}]}}',
      `{"a":{"ssn":${gone},"credentials":${gone},"secrets":${gone}}}`,
      3,
    ],
    [
      "nothing to hide in null and flags",
      '{"a":{"password":null,"token":true,"totalTokens":5}}',
      '{"a":{"password":null,"token":true,"totalTokens":5}}',
      0,
    ],
    ["escaped names", '{"a":{"p\\u0061ssword":"x"}}', `{"a":{"p\\u0061ssword":${gone}}}`, 1],
    [
      "each of two twins",
      '{"a":{"password":"x","password":"y"}}',
      `{"a":{"password":${gone},"password":${gone}}}`,
      2,
    ],
    [
      "protocol _meta is left",
      '{"_meta":{"token":"x"},"content":[{"type":"text","text":"t","_meta":{"secret":1}}]}',
      '{"_meta":{"token":"x"},"content":[{"type":"text","text":"t","_meta":{"secret":1}}]}',
      0,
    ],
    [
      "_meta inside structured content is not the protocol's",
      '{"structuredContent":{"_meta":{"token":"x"}}}',
      `{"structuredContent":{"_meta":{"token":${gone}}}}`,
      1,
    ],
    [
      "cursor survives",
      '{"nextCursor":"x","structuredContent":{"nextToken":"y","keywords":["token"],"monkey":1}}',
      '{"nextCursor":"x","structuredContent":{"nextToken":"y","keywords":["token"],"monkey":1}}',
      0,
    ],
    [
      "JSON in text",
      asText({ password: "x", n: [{ apiKey: "k" }] }),
      asText({ password: "[redacted]", n: [{ apiKey: "[redacted]" }] }),
      2,
    ],
    [
      "JSON in text keeps its spelling",
      asText('\n{ "n" : 1.0, "pwd":"x" }'),
      asText(`\n{ "n" : 1.0, "pwd":${gone} }`),
      1,
    ],
    [
      "JSON in JSON in text",
      asText({ body: JSON.stringify({ token: "t" }) }),
      asText({ body: JSON.stringify({ token: "[redacted]" }) }),
      1,
    ],
    [
      "a JSON string of JSON",
      asText(JSON.stringify(JSON.stringify({ token: "t" }))),
      asText(JSON.stringify(JSON.stringify({ token: "[redacted]" }))),
      1,
    ],
    [
      "prose is left",
      asText("the password is in the safe {token}"),
      asText("the password is in the safe {token}"),
      0,
    ],
    [
      "resources/read",
      JSON.stringify({ contents: [{ uri: "a:b", text: '{"secret":1}' }] }),
      JSON.stringify({ contents: [{ uri: "a:b", text: '{"secret":"[redacted]"}' }] }),
      1,
    ],
    [
      "prompts/get",
      JSON.stringify({
        messages: [{ role: "user", content: { type: "text", text: '[{"pwd":"x"}]' } }],
      }),
      JSON.stringify({
        messages: [{ role: "user", content: { type: "text", text: '[{"pwd":"[redacted]"}]' } }],
      }),
      1,
    ],
    [
      "embedded resource",
      JSON.stringify({
        content: [{ type: "resource", resource: { uri: "a:b", text: '{"ssn":"1"}' } }],
      }),
      JSON.stringify({
        content: [{ type: "resource", resource: { uri: "a:b", text: '{"ssn":"[redacted]"}' } }],
      }),
      1,
    ],
  ];

  test.each(table)("%s", (_name, source, want, masked) => {
    expect(redact(source)).toEqual({ text: want, masked });
  });

  test("of a question, forms, names of its parts and its state are left, and nothing else", () => {
    const entry =
      '{"method":"elicitation/create","params":{"requestedSchema":{"password":{"x":1}}}}';
    const source = (secret: string) =>
      `{"resultType":"input_required","a":{"token":${secret}},"inputRequests":{"token":${entry},` +
      `"s":{"params":{"m":{"password":${secret}}}}},"b":{"token":${secret}},` +
      '"requestState":"{\\"token\\":1}"}';
    expect(redact(source('"x"'))).toEqual({ text: source(gone), masked: 3 });
    const complete = source('"x"').replace("input_required", "complete");
    expect(redact(complete)).not.toMatchObject({ masked: 3 });
  });

  test("a result without a hint comes back as the same object", () => {
    const result = readObject('{"content":[{"type":"text","text":"sunny"}]}');
    expect(redactResult(result)).toEqual({ result, masked: 0 });
    const outcome = redactResult(result);
    expect("result" in outcome && outcome.result === result).toBe(true);
  });

  test("a window in a larger text is read alone", () => {
    const text = '{"id":1,"result":{"a":{"token":"x"}},"password":"outside"}';
    const outcome = redactResult(readObject(text, text.indexOf('{"a"')));
    expect("result" in outcome && objectText(outcome.result)).toBe(`{"a":{"token":${gone}}}`);
  });
});

describe("PV-06 PV-07 a bound that is hit withholds the result", () => {
  const deep = `{"token":1,"a":${"[".repeat(40)}${"]".repeat(40)}}`;
  const nested = (levels: number): string =>
    levels === 0 ? '{"token":"x"}' : JSON.stringify({ text: nested(levels - 1) });

  test.each([
    ["size", '{"token":"x"}', { lengthMax: 5 }, "redaction-too-large"],
    ["depth", deep, { depthMax: 10 }, "redaction-limit"],
    ["depth inside text", asText(deep), { depthMax: 10 }, "redaction-limit"],
    ["texts inside texts", nested(4), { embeddingMax: 3 }, "redaction-limit"],
  ] as const)("%s", (_name, source, options, reason) => {
    expect(redact(source, options)).toEqual({ reason });
  });

  test("at the bound it passes", () => {
    expect(redact(nested(3), { embeddingMax: 3 })).toMatchObject({ masked: 1 });
  });
});
