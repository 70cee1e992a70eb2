/**
 * A browser without eyes: cookies by origin, redirects, meta refreshes and forms. For tests of pages; asserts nothing.
 */
export interface Page {
  readonly url: URL;
  readonly status: number;
  readonly text: string;
  readonly headers: Headers;
  /** Everywhere it went on the way here. */
  readonly way: readonly URL[];
}

export interface Browser {
  open(url: string | URL): Promise<Page>;
  /** Presses the page's button; `changes` replaces members of its form or leaves them out. */
  press(
    page: Page,
    button: string,
    changes?: Readonly<Record<string, string | undefined>>,
    headers?: Readonly<Record<string, string>>,
  ): Promise<Page>;
  /** As `open`, but stops at the first address that is `until`'s, which is not visited. */
  openUntil(url: string | URL, until: (url: URL) => boolean): Promise<URL>;
  setCookie(origin: string, name: string, value: string): void;
  cookies(origin: string): ReadonlyMap<string, string>;
}

const stepsMax = 20;

export function createBrowser(): Browser {
  const jars = new Map<string, Map<string, string>>();

  function jarOf(origin: string): Map<string, string> {
    const jar = jars.get(origin) ?? new Map<string, string>();
    jars.set(origin, jar);
    return jar;
  }

  async function visit(url: URL, init: RequestInit = {}): Promise<Response> {
    const jar = jarOf(url.origin);
    const cookie = [...jar].map(([name, value]) => `${name}=${value}`).join("; ");
    const headers = { ...(init.headers as Record<string, string>), ...(cookie && { cookie }) };
    const response = await fetch(url, { ...init, headers, redirect: "manual" });
    for (const line of response.headers.getSetCookie()) {
      const [pair = ""] = line.split(";");
      const at = pair.indexOf("=");
      if (/max-age=0/i.test(line) || /expires=thu, 01 jan 1970/i.test(line)) {
        jar.delete(pair.slice(0, at));
      } else jar.set(pair.slice(0, at), pair.slice(at + 1));
    }
    return response;
  }

  async function follow(
    start: URL,
    init: RequestInit,
    until: (url: URL) => boolean = () => false,
  ): Promise<Page | URL> {
    const way: URL[] = [];
    let url = start;
    let response = await visit(url, init);
    for (let step = 0; step < stepsMax; step += 1) {
      way.push(url);
      const text = await response.text();
      const location = response.headers.get("location") ?? refreshOf(text);
      if (location === undefined) {
        return { url, status: response.status, text, headers: response.headers, way };
      }
      url = new URL(location, url);
      if (until(url)) return url;
      response = await visit(url);
    }
    throw new Error("the browser was sent in circles");
  }

  async function page(start: URL, init: RequestInit): Promise<Page> {
    const end = await follow(start, init);
    if (end instanceof URL) throw new Error("stopped on the way");
    return end;
  }

  return {
    open: (url) => page(new URL(url), {}),
    async openUntil(url, until) {
      const end = await follow(new URL(url), {}, until);
      if (end instanceof URL) return end;
      throw new Error(`ended at ${end.url.href} (${end.status}): ${end.text.slice(0, 2_000)}`);
    },
    press({ url, text }, button, changes = {}, headers = {}) {
      const fields = new Map([...formOf(text), ["decision", button] as const]);
      const form = new URLSearchParams();
      for (const [name, value] of Object.entries({ ...Object.fromEntries(fields), ...changes })) {
        if (value !== undefined) form.set(name, value);
      }
      return page(new URL("/consent", url), {
        method: "POST",
        headers: {
          "content-type": "application/x-www-form-urlencoded",
          origin: url.origin,
          ...headers,
        },
        body: form.toString(),
      });
    },
    setCookie: (origin, name, value) => void jarOf(origin).set(name, value),
    cookies: jarOf,
  };
}

function refreshOf(text: string): string | undefined {
  const found = /http-equiv="refresh" content="0;url=([^"]+)"/.exec(text)?.[1];
  return found?.replace(/&#(\d+);/g, (_, code: string) => String.fromCharCode(Number(code)));
}

function formOf(text: string): readonly (readonly [string, string])[] {
  const inputs = [...text.matchAll(/<input type="hidden" name="([^"]+)" value="([^"]*)">/g)];
  return inputs.map(([, name = "", value = ""]) => [name, value] as const);
}
