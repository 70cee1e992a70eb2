/**
 * What following one link has in common in both eras: `modern-listen.ts` holds a listen open, `legacy/subscribe.ts`
 * subscribes to resources; `follow.ts` asks either, one question at a time.
 */
import type { McpNotification } from "../../protocol/messages.ts";
import type { Connection, Link } from "../connection.ts";
import type { ServerSpec } from "../spec.ts";
import type { Topics } from "./topics.ts";

export interface Follower {
  /** False where the server must be asked again to tell exactly what these topics need. */
  suits(topics: Topics): boolean;
  /**
   * Makes the server tell the changes of these topics, and what it told before goes on until then. Resolves with
   * those it honours; undefined where it could not be asked and may be later. Never rejects.
   */
  ask(topics: Topics): Promise<Topics | undefined>;
  /** Tells the server that nobody listens any more; resolves when it was told. Never rejects. */
  close(): Promise<void>;
}

export interface FollowerOptions {
  readonly spec: ServerSpec;
  readonly link: Link;
  readonly connection: Pick<Connection, "current" | "drop">;
  readonly ownInfoText: string;
  readonly onNotification: (notification: McpNotification) => void;
  /** What was asked is no longer told: it must be asked again. */
  readonly onEnd: () => void;
  /** It goes on, and something may have been missed. */
  readonly onGap: () => void;
}
