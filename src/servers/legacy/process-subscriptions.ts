/**
 * A legacy stdio server runs as a process for each set of capabilities, and a process tells what it was itself
 * subscribed to. So each one that agents' calls run in is asked for the same resources as the one that is followed; it
 * may be the only one where they change. Best effort: what is honoured, the followed process says.
 */
import type { Connection, Link } from "../connection.ts";
import type { Follower, FollowerOptions } from "../followers.ts";
import type { Topics } from "../topics.ts";
import { followLegacy } from "./subscribe.ts";

export interface ProcessSubscriptions {
  /** This process came or went. */
  processChanged(connection: Connection): void;
  wantedChanged(): void;
}

interface Followed {
  readonly link: Link;
  readonly follower: Follower;
  isAsking: boolean;
}

export function createProcessSubscriptions(
  options: Omit<FollowerOptions, "link" | "connection" | "onEnd" | "onGap"> & {
    readonly wanted: () => Topics;
  },
): ProcessSubscriptions {
  const { wanted } = options;
  const processes = new Map<Connection, Followed>();

  function processChanged(connection: Connection): void {
    const link = connection.current();
    const known = processes.get(connection);
    if (known !== undefined && known.link === link) return;
    processes.delete(connection);
    if (link === undefined) return;
    const ignore = () => {};
    const follower = followLegacy({ ...options, connection, link, onEnd: ignore, onGap: ignore });
    const followed: Followed = { link, follower, isAsking: false };
    processes.set(connection, followed);
    void ask(followed);
  }

  /** One question at a time, until it tells what is wanted or cannot be asked. */
  async function ask(followed: Followed): Promise<void> {
    if (followed.isAsking) return;
    followed.isAsking = true;
    const { follower } = followed;
    for (let topics = wanted(); !follower.suits(topics); topics = wanted()) {
      if ((await follower.ask(new Set(topics))) === undefined) break;
    }
    followed.isAsking = false;
  }

  return {
    processChanged,
    wantedChanged() {
      for (const connection of [...processes.keys()]) {
        processChanged(connection);
        const followed = processes.get(connection);
        if (followed !== undefined) void ask(followed);
      }
    },
  };
}
