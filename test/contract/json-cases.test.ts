/** The table of what JSON is against the one scanner every door has, and against the splitting of batches. */
import { expect, test } from "bun:test";
import { decodeUtf8, parseMessage, splitBatch } from "../../src/protocol/parse-message.ts";
import { defaultScanLimits } from "../../src/protocol/scan.ts";
import { type JsonCase, jsonCases } from "../support/json-cases.ts";

const limits = defaultScanLimits;
const codes = { "parse-error": -32700, "invalid-request": -32600 } as const;

function textOf({ bytes }: JsonCase): string | undefined {
  return decodeUtf8(bytes);
}

test("the table holds at least 280 cases, none of them twice", () => {
  const texts = jsonCases.map(({ bytes }) => Buffer.from(bytes).toString("hex"));
  expect(texts.length).toBeGreaterThanOrEqual(280);
  expect(new Set(texts).size).toBe(texts.length);
});

test.each(["accepted", "refused"] as const)("PR-10 what must be %s is", (verdict) => {
  const problems: string[] = [];
  for (const one of jsonCases) {
    if (one.verdict !== verdict) continue;
    const text = textOf(one);
    const message =
      text === undefined
        ? undefined
        : parseMessage(`{"jsonrpc":"2.0","method":"x","params":{"v":${text}}}`, limits);
    const fault = message?.kind === "malformed" ? message.fault.name : undefined;
    const isRefused = message === undefined || fault !== undefined;
    const code = codes[(fault ?? "parse-error") as keyof typeof codes];
    const isRight = verdict === "accepted" ? !isRefused : isRefused && code === one.code;
    if (!isRight) problems.push(`${one.category}: ${text?.slice(0, 80)} (${fault})`);
  }
  expect(problems).toEqual([]);
});

test("PR-10 a batch is split into the very texts of its messages, or refused whole", () => {
  for (const one of jsonCases) {
    const text = textOf(one);
    if (text === undefined) continue;
    const split = splitBatch(`[${text},0]`, limits, 100);
    const texts = "texts" in split ? split.texts : undefined;
    const wanted =
      one.verdict === "accepted"
        ? [text.replaceAll(/^[ \t\n\r]+|[ \t\n\r]+$/g, ""), "0"]
        : undefined;
    expect(texts, text.slice(0, 80)).toEqual(wanted);
  }
});
