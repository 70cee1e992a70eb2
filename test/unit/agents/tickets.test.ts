import { expect, test } from "bun:test";
import { createTickets, ticketLifetimeMs } from "../../../src/agents/tickets.ts";
import type { Clock } from "../../../src/lib/clock.ts";

const credential = { kind: "bearer", token: "t" } as const;
const holder = { credential, scope: "notes", origin: "https://app.example" };

function clockAt() {
  let nowMs = 0;
  const clock: Clock = { nowMs: () => nowMs, monotonicMs: () => nowMs };
  return { clock, pass: (ms: number) => (nowMs += ms) };
}

test("a ticket works once, for its own scope and origin", () => {
  const rows: readonly [scope: string, origin: string | undefined, works: boolean][] = [
    ["notes", "https://app.example", true],
    ["other", "https://app.example", false],
    ["notes", "https://evil.example", false],
    ["notes", undefined, false],
  ];
  for (const [scope, origin, works] of rows) {
    const tickets = createTickets(clockAt().clock);
    const ticket = tickets.issue(holder) ?? "";
    expect(tickets.redeem(ticket, scope, origin)).toEqual(
      works ? { credential, evidence: undefined } : undefined,
    );
    // Whatever came of it, it is used up.
    expect(tickets.redeem(ticket, "notes", holder.origin)).toBeUndefined();
  }
});

test("a ticket expires, and a made-up one is worth nothing", () => {
  const { clock, pass } = clockAt();
  const tickets = createTickets(clock);
  const early = tickets.issue(holder) ?? "";
  pass(ticketLifetimeMs - 1);
  const late = tickets.issue(holder) ?? "";
  pass(1);
  expect(tickets.redeem(early, "notes", holder.origin)).toBeUndefined();
  expect(tickets.redeem(late, "notes", holder.origin)).toEqual({ credential, evidence: undefined });
  expect(tickets.redeem("made-up", "notes", holder.origin)).toBeUndefined();
});

test("the tickets that are out are bounded, and expired ones make room", () => {
  const { clock, pass } = clockAt();
  const tickets = createTickets(clock);
  for (let count = 0; count < 10_000; count += 1) expect(tickets.issue(holder)).toBeDefined();
  expect(tickets.issue(holder)).toBeUndefined();
  pass(ticketLifetimeMs);
  expect(tickets.issue(holder)).toBeDefined();
});
