import { describe, expect, test } from "bun:test";
import { catalogue, type ErrorName } from "../../../src/errors/catalogue.ts";
import { createFault } from "../../../src/errors/fault.ts";
import { httpStatusOf, renderJsonRpcError } from "../../../src/errors/render.ts";

const limit = { limit: 5, remaining: 0, resetSeconds: 3, policy: "per-client" };

describe("renderJsonRpcError", () => {
  test("carries the name, the wait and the fault's own data", () => {
    const fault = createFault("rate-limited", 'Slow "down"', {
      retryAfterMs: 1200,
      data: { tool: "x" },
      reason: "never shown",
    });
    expect(JSON.parse(renderJsonRpcError('"a"', fault, limit))).toEqual({
      jsonrpc: "2.0",
      id: "a",
      error: {
        code: 42901,
        message: 'Slow "down"',
        data: { name: "rate-limited", retryAfterMs: 1200, limit, tool: "x" },
      },
    });
  });

  test("has no id where none could be read, and no limit where none was hit", () => {
    const text = renderJsonRpcError(undefined, createFault("parse-error", ""), limit);
    expect(JSON.parse(text)).toEqual({
      jsonrpc: "2.0",
      error: { code: -32700, message: "Parse error", data: { name: "parse-error" } },
    });
  });

  test("I-09: a hidden target does not say that it is hidden", () => {
    expect(renderJsonRpcError("1", createFault("target-hidden", "Unknown tool"))).toBe(
      '{"jsonrpc":"2.0","id":1,"error":{"code":-32602,"message":"Unknown tool"}}',
    );
  });

  test("every row of the catalogue renders with its code and status", () => {
    for (const name of Object.keys(catalogue) as ErrorName[]) {
      const fault = createFault(name, "words");
      const { error } = JSON.parse(renderJsonRpcError("1", fault));
      expect(error).toMatchObject({ code: catalogue[name].code, message: "words" });
      expect(httpStatusOf(fault)).toBe(catalogue[name].http);
    }
  });
});
