/**
 * The fourteen ways to tamper with a log, each as somebody would do it who holds the files but no key of the
 * node: knows the format, recomputes what can be recomputed, and knows nothing of any verifier. Everything follows
 * from the random numbers given.
 */
import { type Artefact, type PlacedRecord, toArtefact } from "./artefact.ts";
import { forgeKey, forgeNote } from "./keys.ts";
import { digestOf, type ForgedLog, type ForgedRecord, forgeLog, leafOf } from "./log.ts";
import type { SeededRandom } from "./random.ts";
import { addCalls, forgeStory } from "./story.ts";
import { rootOf, tilesOf } from "./tree.ts";

export const tamperClasses = [
  "edit",
  "delete",
  "insert",
  "swap",
  "reorder",
  "cut",
  "fork",
  "replay",
  "splice",
  "foreign-key",
  "key-history",
  "fake-tombstone",
  "removed-tombstone",
  "back-dated",
] as const;
export type TamperClass = (typeof tamperClasses)[number];

export interface Tampered {
  readonly artefact: Artefact;
  /** Which variant of the class it is, for the message of a test that fails. */
  readonly how: string;
}

type Envelope = { seq: number; prev: string; time: number; event: string; commitment: string } & {
  facts: Record<string, unknown>;
};
type Tamper = (story: Story) => string;

interface Story {
  readonly random: SeededRandom;
  readonly log: ForgedLog;
  readonly artefact: Artefact;
  readonly isPruned: boolean;
}

/** Tampers with a copy of a story. `isPruned`: told as the database and exports have it. */
export function tamper(
  kind: TamperClass,
  random: SeededRandom,
  log: ForgedLog,
  isPruned: boolean,
): Tampered {
  const artefact = toArtefact(log);
  const how = tampers[kind]({ random, log, artefact, isPruned });
  return { artefact, how };
}

/** One of some variants, by name. */
function variant(story: Story, ways: Readonly<Record<string, () => void>>): string {
  const name = story.random.pick(Object.keys(ways));
  ways[name]?.();
  return name;
}

const read = (record: PlacedRecord | undefined): Envelope => JSON.parse(record?.envelope ?? "{}");
const orders = ["retention.executed", "erasure.executed"];
const special = [...orders, "lifecycle.started", "keys.rotated"];

/** Places of records that are whole and nothing special, away from both ends. */
function ordinary({ artefact }: Story): number[] {
  return artefact.records.flatMap(({ envelope, sealed }, at) => {
    if (envelope === null || sealed === null) return [];
    if (artefact.records[at + 1]?.envelope === null) return [];
    if (at < 2 || at > artefact.records.length - 4) return [];
    return special.includes(JSON.parse(envelope).event) ? [] : [at];
  });
}

function pickPlace(story: Story): number {
  return story.random.pick(ordinary(story));
}

/** A stretch of ordinary records. */
function pickStretch(story: Story, count: number): number {
  const places = new Set(ordinary(story));
  const isFree = (at: number) =>
    Array.from({ length: count }, (_, n) => at + n).every((one) => places.has(one));
  return story.random.pick([...places].filter(isFree));
}

function placesOf({ artefact }: Story, events: readonly string[]): number[] {
  return artefact.records.flatMap((record, at) =>
    record.envelope !== null && events.includes(read(record).event) ? [at] : [],
  );
}

/** Changes a record; its leaf is made new, as whoever holds the file can do. */
function change(artefact: Artefact, at: number, edit: (envelope: Envelope) => void): void {
  const record = artefact.records[at];
  if (record === undefined) return;
  const envelope = read(record);
  edit(envelope);
  const text = JSON.stringify(envelope);
  artefact.records[at] = { ...record, envelope: text, leaf: leafOf(text) };
}

/** Chains all records anew from a place on, with what hangs on it: numbers, leaves, headers. */
function rechain(artefact: Artefact, from: number): void {
  for (let at = from; at < artefact.records.length; at += 1) {
    if (artefact.records[at]?.envelope === null) continue;
    change(artefact, at, (envelope) => {
      envelope.seq = at + 1;
      envelope.prev = artefact.records[at - 1]?.leaf ?? "0".repeat(64);
    });
  }
  artefact.heads = artefact.heads.map((head, index) => {
    const first = artefact.records.findIndex(({ segment }) => segment === index);
    return first < 1
      ? head
      : { ...head, firstSeq: first + 1, prev: artefact.records[first - 1]?.leaf ?? "" };
  });
}

const leavesOf = ({ records }: Artefact) => records.map(({ leaf }) => Buffer.from(leaf, "hex"));

/** Makes tiles, and a checkpoint signed by whatever key there is, that agree with the records. */
function resign(artefact: Artefact, key: ReturnType<typeof forgeKey>): void {
  const leaves = leavesOf(artefact);
  const root = rootOf(leaves).toString("base64");
  artefact.tiles = tilesOf(leaves);
  artefact.checkpoints = [forgeNote(`${key.name}\n${leaves.length}\n${root}\n`, [key])];
}

const ownKey = ({ random, log }: Story) => forgeKey(log.origin, random.bytes(32));

function renameTool(envelope: Envelope): void {
  envelope.facts.tool = `${String(envelope.facts.tool ?? "")}x`;
}

function moveAll(story: Story, from: number, moved: readonly PlacedRecord[]): void {
  moved.forEach((record, index) => {
    const segment = story.artefact.records[from + index]?.segment ?? 0;
    story.artefact.records[from + index] = { ...record, segment };
  });
}

const tampers: Readonly<Record<TamperClass, Tamper>> = {
  edit: (story) => {
    const { artefact } = story;
    const at = pickPlace(story);
    return variant(story, {
      "a fact": () => change(artefact, at, renameTool),
      "the class": () =>
        change(artefact, at, (envelope) => Object.assign(envelope, { class: "C" })),
      "the commitment": () =>
        change(artefact, at, (envelope) => {
          envelope.commitment = story.random.bytes(32).toString("hex");
        }),
      "an emptied sealed part": () => {
        const outcome = story.random.pick(
          ordinary(story).filter((one) => read(artefact.records[one]).event === "call.outcome"),
        );
        const record = artefact.records[outcome];
        if (record !== undefined) artefact.records[outcome] = { ...record, sealed: '{"v":1}' };
      },
    });
  },
  delete: (story) => {
    const count = 1 + story.random.below(5);
    story.artefact.records.splice(pickStretch(story, count), count);
    return `${count} records`;
  },
  insert: (story) => {
    const { artefact } = story;
    const at = pickPlace(story);
    const before = artefact.records[at - 1];
    const model = artefact.records[at];
    if (before === undefined || model === undefined) return "";
    const envelope = { ...read(model), prev: before.leaf };
    renameTool(envelope);
    const text = JSON.stringify(envelope);
    const added = { ...model, envelope: text, leaf: leafOf(text) };
    return variant(story, {
      before: () => artefact.records.splice(at, 0, added),
      after: () => artefact.records.splice(at + 1, 0, added),
    });
  },
  swap: (story) => {
    const { artefact, random } = story;
    const at = pickPlace(story);
    const other = random.pick(ordinary(story).filter((one) => one !== at));
    const [one, two] = [artefact.records[at], artefact.records[other]];
    if (one !== undefined) moveAll(story, other, [one]);
    if (two !== undefined) moveAll(story, at, [two]);
    return `${at} and ${other}`;
  },
  reorder: (story) => {
    const { artefact, random } = story;
    const count = 4 + random.below(5);
    const at = pickStretch(story, count);
    const stretch = artefact.records.slice(at, at + count);
    return variant(story, {
      "turned round": () => moveAll(story, at, stretch.toReversed()),
      "the first one last": () => moveAll(story, at, [...stretch.slice(1), ...stretch.slice(0, 1)]),
      "the last one first": () =>
        moveAll(story, at, [...stretch.slice(-1), ...stretch.slice(0, -1)]),
    });
  },
  cut: (story) => {
    const { artefact, random } = story;
    const count = 1 + random.below(40);
    artefact.records.splice(-count);
    return variant(story, {
      "the tiles stay": () => {},
      "the tiles are cut too": () => {
        artefact.tiles = tilesOf(leavesOf(artefact));
      },
      "there are no tiles": () => artefact.tiles.clear(),
    });
  },
  fork: (story) => {
    const { artefact } = story;
    const at = pickPlace(story);
    return variant(story, {
      "written anew": () => {
        change(artefact, at, renameTool);
        rechain(artefact, at);
      },
      "written anew, with its tiles": () => {
        change(artefact, at, renameTool);
        rechain(artefact, at);
        artefact.tiles = tilesOf(leavesOf(artefact));
      },
      "two histories": () => {
        const size = artefact.records.length - 6;
        const branch = story.log.branch(size, story.random);
        addCalls(branch, story.random, 4);
        const segment = artefact.records.at(-1)?.segment ?? 0;
        const other = branch.records.slice(size).map((one) => ({ ...one, segment }));
        artefact.records.push(...other);
      },
    });
  },
  replay: (story) => {
    const { artefact, log, random } = story;
    return variant(story, {
      "an older log": () => {
        const size = log.records.length - 1 - random.below(20);
        const older = log.records.slice(0, size);
        const gone = (kind: number) => artefact.records.splice(kind);
        gone(size);
        artefact.known = [...artefact.checkpoints];
        artefact.checkpoints = [log.checkpoint(older.length)];
        artefact.tiles = tilesOf(leavesOf(artefact));
      },
      "records once more": () => {
        const count = 1 + random.below(6);
        const from = pickStretch(story, count);
        const segment = artefact.records.at(-1)?.segment ?? 0;
        const again = artefact.records.slice(from, from + count);
        artefact.records.push(...again.map((one) => ({ ...one, segment })));
      },
    });
  },
  splice: (story) => {
    const { artefact, random } = story;
    const at = Math.min(pickPlace(story), 60);
    const length = artefact.records.length;
    const goOn = (records: readonly ForgedRecord[]) =>
      moveAll(
        story,
        at,
        records.slice(at, length).map((one) => ({ ...one, segment: 0 })),
      );
    return variant(story, {
      "another log": () => goOn(forgeStory(random, false).records),
      "another history": () => {
        const branch = story.log.branch(at - 2, random);
        addCalls(branch, random, length);
        goOn(branch.records);
      },
      "a few records of another log": () => {
        const other = forgeStory(random, false).records.slice(at, at + 3);
        moveAll(story, at, other.map((one) => ({ ...one, segment: 0 })).slice(0, length - at));
      },
    });
  },
  "foreign-key": (story) => {
    const { artefact, log, random } = story;
    return variant(story, {
      "the same tree": () => resign(artefact, ownKey(story)),
      "a changed history": () => {
        const at = pickPlace(story);
        change(artefact, at, renameTool);
        rechain(artefact, at);
        // What later lives were certified for goes too, or it would tell.
        const started = placesOf(story, ["lifecycle.started"]).filter((one) => one > at);
        for (const one of started)
          change(artefact, one, (envelope) => {
            envelope.event = "admin.read";
            envelope.facts = {};
          });
        rechain(artefact, at);
        resign(artefact, ownKey(story));
      },
      "a log of their own": () => {
        const forged = forgeLog(random, log.id);
        forged.start();
        addCalls(forged, random, 40);
        Object.assign(artefact, { ...toArtefact(forged), keys: artefact.keys });
      },
    });
  },
  "key-history": (story) => {
    const { artefact, random } = story;
    const at = random.pick(placesOf(story, ["lifecycle.started"]));
    const own = ownKey(story);
    const setFact = (name: string, value: unknown) => (envelope: Envelope) => {
      envelope.facts[name] = value;
    };
    const signature = random.bytes(64).toString("base64");
    return variant(story, {
      "a boot key of their own, signed with it": () => {
        change(artefact, at, setFact("bootKey", own.vkey));
        rechain(artefact, at);
        resign(artefact, own);
      },
      "another signature": () => change(artefact, at, setFact("bootSignature", signature)),
      "another tree adopted": () =>
        change(artefact, at, setFact("treeRoot", random.bytes(32).toString("hex"))),
      "a hand-over to a key of their own": () => {
        const [place = 0] = placesOf(story, ["keys.rotated"]);
        change(artefact, place, setFact("newKey", own.vkey));
        if (random.below(2) === 0) rechain(artefact, place);
      },
    });
  },
  "fake-tombstone": (story) => {
    const { artefact, log, random, isPruned } = story;
    const at = pickPlace(story);
    const kind = isPruned && random.below(2) === 0 ? "deleted" : "erased";
    const empty = () => {
      const record = artefact.records[at];
      if (record === undefined) return;
      const envelope = kind === "deleted" ? null : record.envelope;
      artefact.records[at] = { ...record, envelope, sealed: null };
    };
    const forgeOrder = (place: number, leaf: string) => {
      const model = artefact.records[place - 1];
      const envelope = {
        ...JSON.parse(
          artefact.records.findLast(({ envelope }) => envelope !== null)?.envelope ?? "{}",
        ),
        seq: place + 1,
        prev: model?.leaf,
        event: kind === "deleted" ? "retention.executed" : "erasure.executed",
        facts: {
          [`${kind}Log`]: log.id,
          [`${kind}Seqs`]: String(at + 1),
          count: 1,
          digest: digestOf([leaf]),
        },
        commitment: "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
      };
      const text = JSON.stringify(envelope);
      const segment = model?.segment ?? 0;
      return { seq: place + 1, envelope: text, sealed: '{"v":1}', leaf: leafOf(text), segment };
    };
    const leaf = artefact.records[at]?.leaf ?? "";
    return variant(story, {
      "an order added at the end, that commits to something else": () => {
        empty();
        // One that no checkpoint covers is left open, and never sound: test/contract/audit-vectors.test.ts.
        artefact.records.push(forgeOrder(artefact.records.length, "00".repeat(32)));
      },
      "an order put between": () => {
        const place = at + 1 + random.below(artefact.records.length - at - 1);
        const order = forgeOrder(place, leaf);
        empty();
        artefact.records.splice(place, 0, order);
      },
      "an order that names more": () => {
        empty();
        const order =
          placesOf(story, [kind === "deleted" ? "retention.executed" : "erasure.executed"]).at(
            -1,
          ) ?? 0;
        change(artefact, order, ({ facts }) => {
          facts[`${kind}Seqs`] = [...String(facts[`${kind}Seqs`]).split(","), at + 1]
            .map(Number)
            .sort((a, b) => a - b)
            .join(",");
        });
      },
    });
  },
  "removed-tombstone": (story) => {
    const { artefact, random, isPruned } = story;
    return variant(story, {
      "the order is taken out": () => {
        artefact.records.splice(random.pick(placesOf(story, orders)), 1);
      },
      "the order is another record now": () => {
        const order = random.pick(placesOf(story, orders));
        change(artefact, order, (envelope) => {
          envelope.event = "admin.read";
          envelope.facts = {};
        });
        rechain(artefact, order);
      },
      "there never was one": () => {
        const at = pickPlace(story);
        const record = artefact.records[at];
        const envelope = isPruned && random.below(2) === 0 ? null : (record?.envelope ?? null);
        if (record !== undefined) artefact.records[at] = { ...record, envelope, sealed: null };
      },
    });
  },
  "back-dated": (story) => {
    const { artefact, random } = story;
    const backMs = 600_000 + random.below(1e9);
    const backDate = (at: number) =>
      change(artefact, at, (envelope) => {
        envelope.time -= backMs;
      });
    // An outcome may be as old as its intent, so intents are set back.
    const intents = ordinary(story).filter(
      (at) => read(artefact.records[at]).event === "call.intent",
    );
    return variant(story, {
      "one record": () => backDate(random.pick(intents)),
      "chained anew": () => {
        const at = random.pick(intents);
        backDate(at);
        rechain(artefact, at);
      },
      "added at the end": () => {
        const model = artefact.records.at(-2);
        if (model === undefined) return;
        artefact.records.push(model);
        backDate(artefact.records.length - 1);
        rechain(artefact, artefact.records.length - 1);
      },
    });
  },
};
