// Addresses of the API that more than one place of the page asks for.

export function runUrl(run: number): string {
  return `/api/runs/${run}`;
}

export function usualUrl(pipeline: string): string {
  return `/api/usual?pipeline=${encodeURIComponent(pipeline)}`;
}

export function historyUrl(pipeline: string): string {
  return `/api/history?limit=50&pipeline=${encodeURIComponent(pipeline)}`;
}

/** So many are shown of each pipeline at a glance. */
export const trendRuns = 30;

export function trendUrl(pipeline: string): string {
  return `/api/runs?limit=${trendRuns}&pipeline=${encodeURIComponent(pipeline)}`;
}
