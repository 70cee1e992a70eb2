/**
 * How the log's own threads reach others over HTTP: collectors and witnesses. The gateway's one way out fits
 * (`servers/egress-fetch.ts`); compose hands it in.
 */
export type Post = (url: string, request: PostRequest) => Promise<PostAnswer>;

export interface PostRequest {
  readonly method: "POST";
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
  readonly timeoutMs: number;
  readonly bytesMax: number;
}

export interface PostAnswer {
  readonly status: number;
  readonly headers: ReadonlyMap<string, string>;
  readonly text: string;
}
