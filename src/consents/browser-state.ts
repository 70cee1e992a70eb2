/**
 * What a browser carries through a consent: sealed, so that it can neither be read nor made up, and bound to its step and
 * flow. The cookie's name and flags are the edge's matter.
 */
import type { Clock } from "../lib/clock.ts";
import { passLifetimeMs, type Sealer } from "./passes.ts";

export type BrowserState =
  /** At its issuer, to log in. */
  | {
      readonly step: "login";
      readonly link: string;
      readonly state: string;
      readonly begun: {
        readonly issuer: string;
        readonly nonce: string;
        readonly verifier: string;
      };
    }
  /** Logged in, before the question. */
  | { readonly step: "decide"; readonly pass: string; readonly csrf: string }
  /** At the server's authorization server. */
  | { readonly step: "return"; readonly pass: string; readonly state: string };

export interface BrowserStates {
  seal(flow: string, state: BrowserState): string;
  /** Undefined where it is forged, too old, or of another flow or step. */
  open<Step extends BrowserState["step"]>(
    flow: string,
    step: Step,
    sealed: string | undefined,
  ): Extract<BrowserState, { readonly step: Step }> | undefined;
}

export function createBrowserStates(sealer: Sealer, clock: Clock): BrowserStates {
  return {
    seal: (flow, state) =>
      sealer.seal(
        `browser ${state.step} ${flow}`,
        JSON.stringify({ state, untilMs: clock.nowMs() + passLifetimeMs }),
      ),
    open<Step extends BrowserState["step"]>(flow: string, step: Step, sealed: string | undefined) {
      if (sealed === undefined) return undefined;
      try {
        const { state, untilMs } = JSON.parse(sealer.open(`browser ${step} ${flow}`, sealed)) as {
          readonly state: Extract<BrowserState, { readonly step: Step }>;
          readonly untilMs: number;
        };
        return untilMs > clock.nowMs() ? state : undefined;
      } catch {
        return undefined;
      }
    },
  };
}
