/**
 * Sinks named by the environment, as earlier gateways did (D04, F06).
 */
import { expect, test } from "bun:test";
import { readEnvironmentSinks } from "../../../src/config/sink-environment.ts";

const file = {
  sink: { name: "audit-log-file", kind: "file", path: "audit.json" },
  origin: "AUDIT_LOG_FILE",
};
const stdout = { sink: { name: "audit-to-stdout", kind: "stdout" }, origin: "AUDIT_TO_STDOUT" };

test.each([
  [{}, []],
  [{ AUDIT_LOG_FILE: "", AUDIT_TO_STDOUT: "" }, []],
  [{ AUDIT_LOG_FILE: "audit.json" }, [file]],
  [{ AUDIT_TO_STDOUT: "true" }, [stdout]],
  [{ AUDIT_TO_STDOUT: "1", AUDIT_LOG_FILE: "audit.json" }, [file, stdout]],
  [{ AUDIT_TO_STDOUT: "false" }, []],
])("D04: %p", (environment, sinks) => {
  expect(readEnvironmentSinks(environment)).toEqual(sinks);
});
