/**
 * What nobody needs to rewrite is forwarded as it came, byte for byte; what is rewritten differs in the targeted bytes
 * alone (PR-04, PR-07). Random messages through the executable, from agents of both eras to servers of both, over
 * HTTP and WebSocket on either side. FIDELITY_MESSAGES sets how many, FAULT_SEED repeats a run.
 */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { createAdminClient } from "../support/admin-client.ts";
import { type FidelityAgent, openHttpAgent, openSocketAgent } from "../support/fidelity/agents.ts";
import { createExchange, type Era, type Exchange, type Way } from "../support/fidelity/exchange.ts";
import { createJsonTexts } from "../support/fidelity/json-texts.ts";
import { judgeAnswer, judgeNotification, judgeParams } from "../support/fidelity/judge.ts";
import { type FidelityServer, startFidelityServer } from "../support/fidelity/upstream.ts";
import { startGateway } from "../support/gateway-process.ts";
import { registerClient } from "../support/operator.ts";
import { createRandom, faultSeed } from "../support/random.ts";

const messagesWanted = Number(process.env.FIDELITY_MESSAGES ?? 100_000);
const atOnce = 48;
const unhurried = {
  failed_auth_per_minute: 1_000_000_000,
  max_in_flight: 10_000,
};

interface Route {
  readonly way: Way;
  readonly agent: FidelityAgent;
  /** Either side speaks in events, which know line feeds alone. */
  readonly isHttpServer: boolean;
}

const exchanges = new Map<number, Exchange>();
const received = new Map<number, string | undefined>();
const running = {
  find: (number: number) => exchanges.get(number),
  note: (number: number, params: string | undefined) => void received.set(number, params),
};
const stack = new AsyncDisposableStack();
const sockets: Route[] = [];
const posts: Route[] = [];

beforeAll(async () => {
  const gateway = stack.use(await startGateway({ config: { limits: unhurried } }));
  const admin = stack.use(createAdminClient(gateway));
  const servers: FidelityServer[] = [];
  for (const era of ["legacy", "modern"] as const) {
    for (const kind of ["http", "ws"] as const) {
      const server = stack.use(startFidelityServer(era, kind, running));
      servers.push(server);
      const remote = {
        kind: kind === "ws" ? "REMOTE_KIND_WEBSOCKET" : "REMOTE_KIND_STREAMABLE_HTTP",
        url: server.url,
      };
      const options = { enabled: true, allow_private_network: true, list_ttl_ms: 600_000 };
      await admin.call("ServerService", "RegisterServer", {
        server: { name: server.name, remote, max_in_flight: 1_000, ...options },
      });
    }
  }
  const token = await registerClient(admin, "fidelity", {
    allowed_tools: ["*"],
    allowed_resources: ["*"],
    allowed_prompts: ["*"],
  });
  const place = { base: gateway.agents, token };
  for (const scope of ["all", ...servers.map(({ name }) => name)]) {
    for (const agentEra of ["legacy", "modern"] as const) {
      const socket = stack.use(await openSocketAgent(agentEra, { ...place, scope }));
      const post = stack.use(await openHttpAgent(agentEra, { ...place, scope }));
      for (const server of servers) {
        const isPrefixed = scope === "all";
        if (!isPrefixed && scope !== server.name) continue;
        sockets.push(routeOf(agentEra, server, isPrefixed, socket));
        posts.push(routeOf(agentEra, server, isPrefixed, post));
      }
    }
  }
}, 60_000);
afterAll(() => stack.disposeAsync());

function routeOf(
  agentEra: Era,
  server: FidelityServer,
  isPrefixed: boolean,
  agent: FidelityAgent,
): Route {
  const isHttpServer = server.kind === "http";
  const way = {
    agentEra,
    server: server.name,
    serverEra: server.era,
    isPrefixed,
    hasOwnStream: isHttpServer,
  };
  return { way, agent, isHttpServer };
}

test(`at least ${messagesWanted} random messages arrive as they were sent (PR-04, PR-07)`, async () => {
  const random = createRandom();
  const texts = createJsonTexts(random);
  const problems: string[] = [];
  let messages = 0;
  let number = 0;

  async function converse(): Promise<void> {
    while (messages < messagesWanted && problems.length < 5) {
      const route = random(8) === 0 ? texts.pick(posts) : texts.pick(sockets);
      const exchange = createExchange(texts, number++, route.way);
      exchanges.set(exchange.number, exchange);
      const heard = await route.agent.ask(exchange);
      messages += 2 + heard.notifications.length;
      const passes = heard.isEvents || (route.isHttpServer && exchange.notifications.length > 0);
      for (const problem of judge(exchange, heard, passes)) {
        problems.push(`exchange ${exchange.number}, ${JSON.stringify(exchange.way)}: ${problem}`);
      }
      exchanges.delete(exchange.number);
      received.delete(exchange.number);
    }
  }
  await Promise.all(Array.from({ length: atOnce }, converse));
  expect(problems.join("\n"), `seed ${faultSeed}`).toBe("");
  expect(messages).toBeGreaterThanOrEqual(messagesWanted);
}, 600_000);

/** Where a leg of the way speaks in events, a carriage return between tokens becomes a line feed. */
function judge(
  exchange: Exchange,
  heard: { readonly notifications: readonly string[]; readonly answer: string },
  isEvents: boolean,
): readonly string[] {
  const problems = [judgeParams(exchange, received.get(exchange.number))];
  const known = isEvents ? withFeeds(exchange) : exchange;
  problems.push(judgeAnswer(known, heard.answer));
  if (heard.notifications.length !== exchange.notifications.length) {
    problems.push(
      `${heard.notifications.length} of ${exchange.notifications.length} notifications`,
    );
  }
  for (const [at, sent] of known.notifications.entries()) {
    problems.push(judgeNotification(known, sent, heard.notifications[at]));
  }
  return problems.filter((problem) => problem !== undefined);
}

/** Raw line breaks stand between tokens only, so they may be replaced anywhere. */
function withFeeds(exchange: Exchange): Exchange {
  const { answer, notifications } = exchange;
  return JSON.parse(
    JSON.stringify({ ...exchange, answer, notifications }).replaceAll(
      /(?<!\\)((?:\\\\)*)(?:\\r\\n|\\r)/g,
      "$1\\n",
    ),
  ) as Exchange;
}
