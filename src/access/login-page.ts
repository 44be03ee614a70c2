// The page for logging in. Part of the program, not of the page's bundle: whoever is outside gets nothing else.

export interface LoginPage {
  readonly next: string;
  readonly problem: string | null;
  /** Asks for itself once more. */
  readonly again?: boolean;
}

export function loginPage({ next, problem, again = false }: LoginPage): string {
  const self = `/login?next=${encodeURIComponent(next)}`;
  return `<!doctype html>
<html lang="en">
  <head>
    <meta charset="utf-8">
    <meta name="viewport" content="width=device-width, initial-scale=1">
    <meta name="color-scheme" content="light dark">
    ${again ? `<meta http-equiv="refresh" content="0; url=${escapeHtml(self)}">` : ""}
    <title>Log in · bettertest</title>
    <link rel="icon" href="data:,">
    <link rel="stylesheet" href="/login.css">
  </head>
  <body>
    <main>
      <h1>bettertest</h1>
      <form method="post" action="/login">
        <input type="hidden" name="next" value="${escapeHtml(next)}">
        <label for="token">Token</label>
        <input id="token" name="token" type="password" autocomplete="current-password" required autofocus
          spellcheck="false"${problem === null ? "" : ' aria-invalid="true" aria-describedby="problem"'}>
        ${problem === null ? "" : `<p id="problem" role="alert">${escapeHtml(problem)}</p>`}
        <button>Log in</button>
      </form>
      <p class="quiet">On the boss's machine, <code>bettertest token</code> shows it.</p>
    </main>
  </body>
</html>
`;
}

function escapeHtml(text: string): string {
  return text.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);
}

export const loginStyle = `:root {
  color-scheme: light dark;
  --back: light-dark(#ffffff, #14171a);
  --raised: light-dark(#f5f6f8, #1c2024);
  --line: light-dark(#8a949e, #5b656f);
  --text: light-dark(#1c2126, #e4e8ec);
  --quiet: light-dark(#5b656f, #98a2ac);
  --blue: light-dark(#1a5fb4, #6cb0ff);
  --on-blue: light-dark(#ffffff, #14171a);
  --red: light-dark(#c4302b, #ff7a72);
  font: 14px / 1.45 system-ui, -apple-system, "Segoe UI", "DejaVu Sans", sans-serif;
}
* { box-sizing: border-box; }
body { margin: 0; min-height: 100vh; display: grid; place-items: center; background: var(--back); color: var(--text); }
main { width: min(22rem, 100vw - 2rem); }
h1 { font-size: 20px; margin: 0 0 1rem; }
form { display: grid; gap: 0.5rem; }
label { font-weight: 600; }
input, button { font: inherit; padding: 0.5rem 0.75rem; border-radius: 6px; border: 1px solid var(--line); }
input { width: 100%; background: var(--raised); color: var(--text); }
input[aria-invalid] { border-color: var(--red); }
button { margin-top: 0.5rem; background: var(--blue); border-color: var(--blue); color: var(--on-blue); font-weight: 600; cursor: pointer; }
:focus-visible { outline: 2px solid var(--blue); outline-offset: 2px; }
#problem { margin: 0; color: var(--red); }
.quiet { color: var(--quiet); margin: 1rem 0 0; }
code { font-family: ui-monospace, "SF Mono", "DejaVu Sans Mono", Menlo, Consolas, monospace; font-size: 13px; }
`;
