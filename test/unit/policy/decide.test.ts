/**
 * Laws over random policies, against a second reading of them (`support/naive-policy.ts`). POLICY_CASES says how many
 * decisions are compared (100,000 otherwise), POLICY_SEED repeats a run.
 */
import { describe, expect, test } from "bun:test";
import { compilePolicy } from "../../../src/policy/compile.ts";
import { explain } from "../../../src/policy/explain.ts";
import type { Asker, PolicyInput, Question } from "../../../src/policy/rule.ts";
import { decideNaively, spellObligations } from "../../support/naive-policy.ts";
import {
  createRandom,
  randomAsker,
  randomCall,
  randomPolicy,
  randomQuestion,
  randomRule,
  shuffle,
} from "../../support/random-policy.ts";

const cases = Number(process.env.POLICY_CASES ?? 100_000);
const seed = Number(process.env.POLICY_SEED ?? 20_261_121);
const questionsEach = 50;
const compile = (input: PolicyInput) => compilePolicy(input, { rememberedMax: 64 });

/** Fails with everything that is needed to see why. */
function same<T>(got: T, want: T, about: object): void {
  if (!Bun.deepEquals(got, want))
    expect({ seed, ...about, got }).toEqual({ seed, ...about, got: want });
}

test(`the compiled policy agrees with the naive reading in ${cases} cases (P01 to P11, AZ-03, AZ-12, AZ-17)`, () => {
  const random = createRandom(seed);
  const seen = { allowed: 0, owing: 0, called: 0, rules: 0, tools: 0 };
  for (let done = 0; done < cases; ) {
    const input = randomPolicy(random);
    const policy = compile(input);
    const askers = [randomAsker(random), randomAsker(random), randomAsker(random)];
    for (let asked = 0; asked < questionsEach; asked += 1, done += 1) {
      const asker = askers[asked % askers.length] ?? randomAsker(random);
      const question = randomQuestion(random);
      const { allowed, ruleId, obligations } = policy.decide(asker, question);
      const got = { allowed, ruleId, owes: spellObligations(obligations) };
      same(got, decideNaively(input, asker, question), { input, asker, question });
      if (allowed && !policy.seesServer(asker, question.server))
        same(true, false, { input, asker });
      seen.allowed += allowed ? 1 : 0;
      seen.owing += obligations === undefined ? 0 : 1;
      seen.called += question.call === undefined ? 0 : 1;
      seen.rules += ruleId.startsWith("rule:") ? 1 : 0;
      seen.tools += ruleId.startsWith("tool:") ? 1 : 0;
    }
  }
  // The vocabulary meets often enough for agreement to mean something.
  expect(seen.allowed).toBeGreaterThan(cases * 0.1);
  expect(seen.allowed).toBeLessThan(cases * 0.9);
  expect(seen.owing).toBeGreaterThan(cases * 0.01);
  expect(seen.called).toBeGreaterThan(cases * 0.5);
  expect(seen.rules).toBeGreaterThan(cases * 0.05);
  expect(seen.tools).toBeGreaterThan(cases * 0.002);
});

interface Asking {
  readonly input: PolicyInput;
  readonly asker: Asker;
  readonly question: Question;
}

function eachAsking(
  start: number,
  times: number,
  check: (asking: Asking, random: ReturnType<typeof createRandom>) => void,
) {
  const random = createRandom(start);
  for (let round = 0; round < times; round += 1) {
    const asking = {
      input: randomPolicy(random),
      asker: randomAsker(random),
      question: randomQuestion(random),
    };
    check(asking, random);
  }
}

describe("P23 lists and calls agree", () => {
  test("what some call may do is listed, by either action; the reverse where nothing hangs on the call", () => {
    let hanging = 0;
    eachAsking(23, 3000, ({ input, asker, question }, random) => {
      const policy = compile(input);
      const list = { ...question, call: undefined };
      const listed = policy.decide(asker, list);
      const isConditional = input.rules.some(({ condition }) => condition.when !== undefined);
      for (let made = 0; made < 8; made += 1) {
        const called = policy.decide(asker, { ...question, call: randomCall(random) });
        if (called.allowed && !listed.allowed) same(called, listed, { input, asker, question });
        if (!isConditional) same(called, listed, { input, asker, question });
        if (called.allowed !== listed.allowed) hanging += 1;
      }
      if (question.kind !== "tool") return;
      const byList = policy.decide(asker, { ...list, action: "list_tools" });
      same(policy.decide(asker, { ...list, action: "invoke_tool" }), byList, { input, asker });
    });
    expect(hanging).toBeGreaterThan(20);
  });

  test("conditions on the principal alone are decided alike both times", () => {
    eachAsking(24, 2000, ({ input, asker, question }, random) => {
      const aboutPrincipal = {
        ...input,
        rules: input.rules.map((rule) => ({
          ...rule,
          condition: {
            ...rule.condition,
            when: '(principal.tenant == "red") || ("admin" in principal.roles)',
          },
        })),
      };
      const policy = compile(aboutPrincipal);
      const listed = policy.decide(asker, { ...question, call: undefined });
      same(policy.decide(asker, { ...question, call: randomCall(random) }), listed, {
        input,
        asker,
      });
    });
  });
});

describe("AZ-03 laws", () => {
  test("the order of lists never changes a decision, nor who is named, nor what is owed", () => {
    eachAsking(3, 2000, ({ input, asker, question }, random) => {
      const shuffled = {
        clients: shuffle(random, input.clients),
        roles: shuffle(random, input.roles),
        bindings: shuffle(random, input.bindings),
        rules: shuffle(random, input.rules),
        servers: shuffle(random, input.servers ?? []),
      };
      const before = compile(input).decide(asker, question);
      same(compile(shuffled).decide(asker, question), before, { input, asker, question });
    });
  });

  test("one more deny never allows more, one more allow never denies more, one more require changes neither", () => {
    const changed = { deny: 0, allow: 0, require: 0 };
    eachAsking(4, 4000, ({ input, asker, question }, random) => {
      const before = compile(input).decide(asker, question);
      for (const effect of ["deny", "allow", "require"] as const) {
        const more = { ...input, rules: [...input.rules, randomRule(random, "more", effect)] };
        const after = compile(more).decide(asker, question);
        const want = effect === "require" || after.allowed === (effect === "deny");
        if (want) same(after.allowed, before.allowed, { more, asker, question });
        changed[effect] += after.allowed === before.allowed ? 0 : 1;
      }
    });
    expect(changed.deny).toBeGreaterThan(20);
    expect(changed.allow).toBeGreaterThan(20);
  });
});

test("P15 an explanation never disagrees with the decision", () => {
  eachAsking(15, 3000, ({ input, asker, question }) => {
    const { decision, deniedBy, grantedBy, requiredBy } = explain(input, asker, question);
    same(compile(input).decide(asker, question), decision, { input, asker, question });
    const named = deniedBy[0] ?? grantedBy[0] ?? "default";
    same(decision.allowed, deniedBy.length === 0 && grantedBy.length > 0, {
      input,
      asker,
      question,
    });
    if (deniedBy.length + grantedBy.length > 0) same(decision.ruleId, named, { input, asker });
    if (decision.allowed && decision.obligations === undefined) {
      const asks = input.rules.filter(({ name }) => requiredBy.includes(`rule:${name}`));
      same(
        asks.every(({ obligations }) => !obligations?.approval),
        true,
        { input, asker },
      );
    }
  });
});
