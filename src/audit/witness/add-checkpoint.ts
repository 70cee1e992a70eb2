/**
 * This node as another's witness: answers `POST /add-checkpoint` (c2sp.org/tlog-witness) for the logs the configuration
 * names, and cosigns only what goes on from the last tree it cosigned, which it has on its disk before it answers.
 * Served on the ops listener; anybody may ask, because only the log's own key opens anything.
 */
import type { Clock } from "../../lib/clock.ts";
import { parseCheckpoint, type SignedCheckpoint } from "../evidence/checkpoint.ts";
import { EvidenceError } from "../evidence/evidence-error.ts";
import type { SigningKey, VerifierKey } from "../evidence/keys.ts";
import { cosignText, renderSignature, verifyNote } from "../evidence/note.ts";
import { emptyRoot, isConsistent } from "../evidence/tree.ts";
import { type AddCheckpointRequest, parseAddCheckpoint } from "./add-checkpoint-message.ts";
import type { WitnessedLogs, WitnessedPlace } from "./witnessed-logs.ts";

export interface AddCheckpointAnswer {
  readonly status: 200 | 400 | 403 | 404 | 409 | 422 | 503;
  readonly contentType: string;
  readonly text: string;
}

export interface AddCheckpointDeps {
  /** Keys by origin: a log that has none is not witnessed. */
  readonly logs: ReadonlyMap<string, readonly VerifierKey[]>;
  /** Of type 4. */
  readonly key: SigningKey;
  readonly witnessed: WitnessedLogs;
  readonly clock: Clock;
  /** The log's key signed a tree that does not go on from what was cosigned: proof that the log lied. */
  readonly lied: (found: {
    readonly origin: string;
    readonly size: number;
    readonly witnessedSize: number;
  }) => void;
}

export type AddCheckpoint = (body: string) => Promise<AddCheckpointAnswer>;

const waitingMax = 64;
const plain = "text/plain; charset=utf-8";

export function createAddCheckpoint(deps: AddCheckpointDeps): AddCheckpoint {
  /** One at a time: what is compared must still hold when it is replaced. */
  let turn: Promise<unknown> = Promise.resolve();
  let waiting = 0;

  return (body) => {
    if (waiting >= waitingMax) return Promise.resolve(refuse(503, "too many requests wait here"));
    waiting += 1;
    const answer = turn.then(() => judge(body));
    turn = answer.then(leave, leave);
    return answer;
  };

  function leave(): void {
    waiting -= 1;
  }

  async function judge(body: string): Promise<AddCheckpointAnswer> {
    let request: AddCheckpointRequest;
    let checkpoint: SignedCheckpoint;
    try {
      request = parseAddCheckpoint(body);
      checkpoint = parseCheckpoint(request.checkpoint);
    } catch (error) {
      return refuse(400, error);
    }
    const keys = deps.logs.get(checkpoint.origin);
    if (keys === undefined) return refuse(404, "this log is not witnessed here");
    try {
      verifyNote(checkpoint.note, keys);
    } catch (error) {
      return refuse(403, error);
    }
    if (request.oldSize > checkpoint.size) {
      return refuse(400, "the old size must not be larger than the checkpoint's");
    }
    return await cosign(request, checkpoint);
  }

  async function cosign(
    { oldSize, proof }: AddCheckpointRequest,
    { origin, size, root, note }: SignedCheckpoint,
  ): Promise<AddCheckpointAnswer> {
    const witnessed = await deps.witnessed.load(origin);
    const state = { status: 409, contentType: "text/x.tlog.size", text: `${witnessed.size}\n` };
    if (oldSize !== witnessed.size) return state as AddCheckpointAnswer;
    const claim = { oldSize, oldRoot: rootOf(witnessed), newSize: size, newRoot: root, proof };
    if (!isConsistent(claim)) {
      deps.lied({ origin, size, witnessedSize: witnessed.size });
      if (oldSize === size && proof.length === 0) return state as AddCheckpointAnswer;
      return refuse(422, "the proof does not lead from the tree cosigned last to this one");
    }
    if (size > witnessed.size) {
      await deps.witnessed.save(origin, { size, root: Buffer.from(root).toString("hex") });
    }
    const seconds = Math.floor(deps.clock.nowMs() / 1000);
    const text = renderSignature(cosignText(note.text, deps.key, seconds));
    return { status: 200, contentType: plain, text };
  }
}

function rootOf({ size, root }: WitnessedPlace): Uint8Array {
  return size === 0 ? emptyRoot : Buffer.from(root, "hex");
}

function refuse(status: AddCheckpointAnswer["status"], why: unknown): AddCheckpointAnswer {
  if (why instanceof Error && !(why instanceof EvidenceError)) throw why;
  const text = `${why instanceof Error ? why.message : why}\n`;
  return { status, contentType: plain, text };
}
