import { expect, test } from "bun:test";
import { readString, splitFields } from "../../../src/audit/field-texts.ts";

const samples = [
  {},
  { principal: "client:demo" },
  { a: "", b: '"', c: "\\", d: '\\"', e: '","f":"', f: "}", g: "\u2028 ü 漢 🎉 \ud800" },
  { 'na"me': "x", "na\\me": 'y"', ",": ":" },
  { list: '["a","b"]', count: 0, rate: -1.5e-7, yes: true, no: false, nothing: null },
  { last: 12 },
];

test("a record's fields are cut out of their JSON as they were written into it", () => {
  for (const sample of samples) {
    const fields = splitFields(JSON.stringify(sample));
    expect(fields.map(({ name, text }) => [name, JSON.parse(text)])).toEqual(
      Object.entries(JSON.parse(JSON.stringify(sample))),
    );
    for (const { text } of fields) expect(text).toBe(JSON.stringify(JSON.parse(text)));
  }
});

test("so are random ones", () => {
  const characters = ['"', "\\", ",", ":", "{", "}", "a", "\n", "é"];
  const pick = () => characters[Math.floor(Math.random() * characters.length)] ?? "";
  const text = () => Array.from({ length: Math.floor(Math.random() * 8) }, pick).join("");
  for (let round = 0; round < 2_000; round += 1) {
    const value = () => [text(), Math.random(), true, null][Math.floor(Math.random() * 4)];
    const sample = Object.fromEntries(Array.from({ length: 4 }, () => [`x${text()}`, value()]));
    const json = JSON.stringify(sample);
    expect({
      json,
      fields: splitFields(json).map(({ name, text }) => [name, JSON.parse(text)]),
    }).toEqual({ json, fields: Object.entries(sample) as [string, unknown][] });
  }
});

test("a string is read with its escapes", () => {
  for (const value of ["", "plain", 'a"b', "\\", "tab\t", "\ud800"]) {
    expect(readString(JSON.stringify(value))).toBe(value);
  }
});
