/**
 * The client of c2sp.org/tlog-witness: it believes a witness about where it is, and nothing else without a signature.
 */

import { expect, test } from "bun:test";
import { cosignatureType, createSigningKey } from "../../../../src/audit/evidence/keys.ts";
import type { Post } from "../../../../src/audit/post.ts";
import { createAddCheckpoint } from "../../../../src/audit/witness/add-checkpoint.ts";
import { createExternalWitness } from "../../../../src/audit/witness/external-witness.ts";
import { WitnessConflict } from "../../../../src/audit/witness/witness.ts";
import type { WitnessedPlace } from "../../../../src/audit/witness/witnessed-logs.ts";
import { systemClock } from "../../../../src/lib/clock.ts";
import { createSampleTree } from "../../../support/sample-tree.ts";

const log = createSampleTree();
const key = createSigningKey("witness.example/w1", cosignatureType);

/** The gateway's own server, in memory, behind the client's way out. */
function serve() {
  let place: WitnessedPlace = { size: 0, root: "" };
  const requests: string[] = [];
  const answer = createAddCheckpoint({
    logs: new Map([[log.origin, [log.key.verifier]]]),
    key,
    witnessed: {
      load: async () => place,
      save: async (_origin, next) => {
        place = next;
      },
    },
    clock: systemClock,
    lied: () => {},
  });
  const post: Post = async (url, { body }) => {
    requests.push(`${url} ${body.split("\n")[0]}`);
    const { status, contentType, text } = await answer(body);
    return { status, headers: new Map([["content-type", contentType]]), text };
  };
  return { post, requests };
}

const options = {
  name: "w1",
  url: "https://witness.example/prefix/",
  key: key.verifier,
  timeoutMs: 1,
};
const failureOf = (work: Promise<unknown>) =>
  work.then(
    () => undefined,
    (cause: unknown) => cause,
  );

test("it sends what the witness needs to go on, and asks once more where it was wrong", async () => {
  const { post, requests } = serve();
  const first = createExternalWitness(options, post);
  expect(await first.witness(log.at(5))).toHaveLength(1);
  expect(await first.witness(log.at(9))).toHaveLength(1);
  const second = createExternalWitness(options, post);
  expect(await second.witness(log.at(40))).toHaveLength(1);
  const url = "https://witness.example/prefix/add-checkpoint";
  expect(requests).toEqual([`${url} old 0`, `${url} old 5`, `${url} old 0`, `${url} old 9`]);
});

test("ST-22: another history is a conflict, whether it is longer, as long or shorter", async () => {
  for (const [size, forked] of [
    [9, 12],
    [9, 9],
    [12, 9],
  ] as const) {
    const { post } = serve();
    await createExternalWitness(options, post).witness(log.at(size));
    const fork = createSampleTree("fork", 3, log.key);
    const error = await failureOf(createExternalWitness(options, post).witness(fork.at(forked)));
    expect(error).toBeInstanceOf(WitnessConflict);
    expect(error).toMatchObject({ witnessedSize: size });
  }
});

test("ST-16: a log that is smaller than what the witness cosigned is a conflict, and it says the size", async () => {
  const { post } = serve();
  await createExternalWitness(options, post).witness(log.at(30));
  const witness = createExternalWitness(options, post);
  expect(await witness.witnessedSize(log.at(20))).toBe(30);
  expect(await failureOf(witness.witness(log.at(20)))).toMatchObject({ witnessedSize: 30 });
});

test.each([
  ["nothing", ""],
  [
    "a signature by another key",
    `— witness.example/w1 ${Buffer.alloc(76, 7).toString("base64")}\n`,
  ],
  ["no signature line", "fine\n"],
])("an answer with %s proves nothing", async (_what, text) => {
  const witness = createExternalWitness(options, async () => {
    return { status: 200, headers: new Map(), text };
  });
  const error = await failureOf(witness.witness(log.at(5)));
  expect(error).toBeInstanceOf(Error);
  expect(error).not.toBeInstanceOf(WitnessConflict);
});

test("a cosignature over another checkpoint is no cosignature", async () => {
  const { post } = serve();
  const witness = createExternalWitness(options, async (url, request) => {
    const body = request.body.replace(log.at(5).note, log.at(6).note);
    return await post(url, { ...request, body });
  });
  expect(await failureOf(witness.witness(log.at(5)))).toBeInstanceOf(Error);
});

test.each([400, 403, 404, 429, 500, 503])(
  "status %d is a failure and no conflict",
  async (status) => {
    const witness = createExternalWitness(options, async () => {
      return { status, headers: new Map(), text: "" };
    });
    const error = await failureOf(witness.witness(log.at(5)));
    expect(String(error)).toContain(String(status));
    expect(error).not.toBeInstanceOf(WitnessConflict);
  },
);
