/** The features of the matrix, in the order in which they run and stand in the table. */
import { completion, prompting, reading, tools } from "./answers.ts";
import type { Feature } from "./feature.ts";
import { elicitation, rooting, sampling } from "./questions.ts";
import { cancellation, logging, progress, tasks } from "./running.ts";
import { subscriptions } from "./subscriptions.ts";

export const features: readonly Feature[] = [
  tools,
  reading,
  prompting,
  completion,
  progress,
  cancellation,
  elicitation,
  sampling,
  rooting,
  subscriptions,
  logging,
  tasks,
];
