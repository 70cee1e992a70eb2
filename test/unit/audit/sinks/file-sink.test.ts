/**
 * The file sink on a real folder: rotation by size and by day, the number kept, and lines that stay whole (D14).
 */
import { expect, test } from "bun:test";
import { appendFileSync, readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { createFileSink, type FileSinkOptions } from "../../../../src/audit/sinks/file-sink.ts";
import type { SinkLine } from "../../../../src/audit/sinks/sink.ts";
import { temporaryFolder } from "../../../support/temporary-folder.ts";

const dayMs = 24 * 60 * 60 * 1000;

function prepare(folder: string, options: Partial<FileSinkOptions> = {}) {
  const clock = { time: Date.now(), nowMs: () => clock.time, monotonicMs: () => clock.time };
  const path = join(folder, "logs", "audit.json");
  const open = () =>
    createFileSink(
      { path, rotateBytes: 10_000, rotateDaily: true, keepFiles: 3, sync: true, ...options },
      clock,
    );
  const finished = () =>
    readdirSync(join(folder, "logs"))
      .filter((name) => name !== "audit.json")
      .sort();
  return { path, clock, open, finished, text: () => readFileSync(path, "utf8") };
}

function line(text: string): SinkLine {
  return { seq: 1, text, short: text, timeMs: 0, level: "info", eventType: "mcp_request" };
}

test("lines are appended, by the owner only, and a second start goes on", async () => {
  await using folder = temporaryFolder();
  const { path, open, text } = prepare(folder.path);
  for (const word of ["one", "two"]) {
    const sink = open();
    await sink.write([line(word), line(`${word}, again`)]);
    await sink.settle();
    await sink.close();
  }
  expect(text()).toBe("one\none, again\ntwo\ntwo, again\n");
  expect(statSync(path).mode & 0o777).toBe(0o600);
});

test("D14: a full file is put aside before the line that would not fit, and so many are kept", async () => {
  await using folder = temporaryFolder();
  const { clock, open, finished, text } = prepare(folder.path, { rotateBytes: 100 });
  const sink = open();
  for (let number = 0; number < 7; number += 1) {
    clock.time += 10;
    await sink.write([line(`${number}`.repeat(60))]);
  }
  expect(text()).toBe(`${"6".repeat(60)}\n`);
  const kept = finished().map((name) =>
    readFileSync(join(folder.path, "logs", name), "utf8").slice(0, 1),
  );
  expect(kept).toEqual(["3", "4", "5"]);
  await sink.close();
});

test("D14: one batch may fill several files, even within one moment", async () => {
  await using folder = temporaryFolder();
  const { open, finished } = prepare(folder.path, { rotateBytes: 25, keepFiles: 10 });
  const sink = open();
  await sink.write(["a", "b", "c", "d", "e"].map((letter) => line(letter.repeat(11))));
  expect(finished()).toHaveLength(2);
  await sink.close();
});

test("D14: a new day (UTC) is a new file, after a restart too", async () => {
  await using folder = temporaryFolder();
  const { clock, open, finished, text } = prepare(folder.path);
  const sink = open();
  await sink.write([line("yesterday")]);
  clock.time += dayMs;
  await sink.write([line("today")]);
  expect(finished()).toHaveLength(1);
  await sink.close();
  clock.time += dayMs;
  const later = open();
  await later.write([line("tomorrow")]);
  await later.close();
  expect(finished()).toHaveLength(2);
  expect(text()).toBe("tomorrow\n");
});

test("other files beside it are never taken for its own", async () => {
  await using folder = temporaryFolder();
  const { open, finished } = prepare(folder.path, { rotateBytes: 10, keepFiles: 0 });
  const sink = open();
  await sink.write([line("first")]);
  appendFileSync(join(folder.path, "logs", "audit.json.bak"), "mine");
  await sink.write([line("second, longer"), line("third")]);
  expect(finished()).toEqual(["audit.json.bak"]);
  await sink.close();
});

test("a line that a crash cut is closed before the next one", async () => {
  await using folder = temporaryFolder();
  const { path, open, text } = prepare(folder.path);
  const sink = open();
  await sink.write([line("whole")]);
  await sink.close();
  appendFileSync(path, '{"half');
  const again = open();
  await again.write([line("next")]);
  await again.close();
  expect(text()).toBe('whole\n{"half\nnext\n');
});

test("a folder that cannot be made is an error", async () => {
  await using folder = temporaryFolder();
  await Bun.write(join(folder.path, "logs"), "a file where the folder should be");
  const { open } = prepare(folder.path);
  const error = await open()
    .write([line("x")])
    .catch((cause: unknown) => cause);
  expect(error).toBeInstanceOf(Error);
});
