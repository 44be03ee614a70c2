// Addresses of the API that more than one place of the page asks for.

export function usualUrl(pipeline: string): string {
  return `/api/usual?pipeline=${encodeURIComponent(pipeline)}`;
}

export function historyUrl(pipeline: string): string {
  return `/api/history?limit=50&pipeline=${encodeURIComponent(pipeline)}`;
}

export function trendUrl(pipeline: string): string {
  return `/api/runs?limit=30&pipeline=${encodeURIComponent(pipeline)}`;
}
