/**
 * Severities of log messages (RFC 5424), from least to most severe, as every revision names them.
 */
export const logLevels = [
  "debug",
  "info",
  "notice",
  "warning",
  "error",
  "critical",
  "alert",
  "emergency",
] as const;
