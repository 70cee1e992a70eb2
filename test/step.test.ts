/**
 * The sums of `npm test`: what the closing lines of `bun test` say is what is counted, and a crash is a failure.
 */
import { expect, test } from "bun:test";
import { parseTally } from "../scripts/step.ts";

test.each([
  [" 13 pass\n 1 skip\n 0 fail\n 13 expect() calls\n", 0, { passed: 13, failed: 0, skipped: 1 }],
  [" 12 pass\n 2 fail\n", 1, { passed: 12, failed: 2, skipped: 0 }],
  [
    "\u001b[32m 5 pass\u001b[0m\n\u001b[2m 0 fail\u001b[0m\n",
    0,
    { passed: 5, failed: 0, skipped: 0 },
  ],
  ["panic: no closing lines\n", 139, { passed: 0, failed: 1, skipped: 0 }],
  [" 4 pass\n 0 fail\n", 1, { passed: 4, failed: 1, skipped: 0 }],
  ["a test named 7 pass\n 1 pass\n 0 fail\n", 0, { passed: 1, failed: 0, skipped: 0 }],
])("%j with exit code %d", (output, exitCode, expected) => {
  expect(parseTally(output, exitCode)).toEqual(expected);
});
