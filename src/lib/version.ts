/**
 * Which version this is: written in by `scripts/build.ts`, or "0.0.0-source" when run from the source tree.
 */
declare const BUILD_VERSION: string | undefined;

export const version: string = typeof BUILD_VERSION === "string" ? BUILD_VERSION : "0.0.0-source";
