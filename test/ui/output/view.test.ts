// Outputs as people meet them: a real browser, boss and worker.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync, writeSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, test } from "node:test";
import type { Page } from "playwright-core";
import { startProxy } from "../../rig/proxy.js";
import { type Rig, startRig } from "../../rig/rig.js";
import { noBrowser, openPage } from "../browser.js";

function startWith(tasks: Readonly<Record<string, string>>, more = ""): Promise<Rig> {
  const calls = Object.entries(tasks).map(
    ([name, command]) =>
      `${JSON.stringify(name)}: () => run("WORKER_URL", "some/image:1", ${JSON.stringify(command)}${more})`,
  );
  const pipedef = `import { run, stage } from "bettertest";\nstage("Unit", {\n${calls.join(",\n")}\n});\n`;
  return startRig({ files: { ".bettertest/pipedef.ts": pipedef }, slots: 4 });
}

/** Waits for a line; where it does not come, says what is there instead. */
async function shown(page: Page, line: number) {
  try {
    await row(page, line).waitFor();
  } catch (error) {
    const text = await page.locator("body").innerText();
    throw new Error(`no line ${line} in:\n${text.slice(0, 2000)}`, { cause: error });
  }
}

const row = (page: Page, line: number) => page.locator(`.out-row[data-line="${line}"]`);
const texts = (page: Page) => page.locator(".out-row .out-text").allTextContents();
const press = (page: Page, keys: string) => page.keyboard.press(keys);

/** Lines that can be seen now, first and last. */
function seen(page: Page): Promise<[number, number]> {
  return page.evaluate(`(() => {
    const frame = document.querySelector(".out-scroll").getBoundingClientRect();
    const lines = [...document.querySelectorAll(".out-row")].filter((row) => {
      const box = row.getBoundingClientRect();
      return box.top >= frame.top - 1 && box.top < frame.bottom - 10;
    }).map((row) => Number(row.dataset.line));
    return [lines[0], lines.at(-1)];
  })()`);
}

/** The first line that is seen once the scrolling has come to rest. */
async function stillAt(page: Page): Promise<number> {
  let last = -1;
  let times = 0;
  const [first] = await until(
    () => seen(page),
    ([now]) => {
      times = now === last ? times + 1 : 0;
      last = now;
      return times >= 12;
    },
  );
  return first;
}

async function until<T>(look: () => Promise<T>, isRight: (value: T) => boolean): Promise<T> {
  for (let left = 400; ; left -= 1) {
    const value = await look();
    if (isRight(value)) return value;
    assert.ok(left > 0, `still ${JSON.stringify(value)}`);
    await new Promise((resolve) => setTimeout(resolve, 25));
  }
}

/** What axe finds in the output's part of the page. */
async function barriers(page: Page): Promise<string[]> {
  const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
  await page.evaluate(axe);
  return page.evaluate(`axe.run(".out").then(({ violations }) => violations.map(({ id, nodes }) =>
    id + ": " + nodes.map(({ html, failureSummary }) => html + failureSummary).join("; ")))`);
}

/** What a task prints, when the test says so. */
function makeTape() {
  const folder = mkdtempSync(join(tmpdir(), "bettertest-tape-"));
  const path = join(folder, "tape");
  execFileSync("mkfifo", [path]);
  // For both, so that it does not wait for the task to read.
  let fd: number | null = openSync(path, "r+");
  const end = () => {
    if (fd !== null) closeSync(fd);
    fd = null;
  };
  return {
    command: `cat ${path}`,
    print: (text: string) => writeSync(fd!, text),
    end,
    [Symbol.dispose]: () => {
      end();
      rmSync(folder, { recursive: true });
    },
  };
}

describe("the output of a task", { skip: noBrowser }, () => {
  test("colors, progress, sections, repeats, as they were meant", async () => {
    await using rig = await startWith({
      show: [
        `printf '\\033[1;31mred\\033[0m \\033[38;5;208morange\\033[0m \\033[38;2;1;2;3mtrue\\033[0m\\n'`,
        `printf '\\033[44mopen '; printf 'still\\nnext\\033[0m\\n'`,
        `printf '10%%\\r20%%\\r100%%\\n'`,
        "echo ::group::Install; echo a; echo b; echo ::endgroup::",
        "for i in 1 2 3 4 5; do echo again; done; echo last",
      ].join("; "),
    });
    await rig.run();
    await using opened = await openPage(`${rig.url}/runs/1/Unit/show`);
    const { page, errors } = opened;
    await row(page, 14).getByText("last").waitFor();
    assert.deepEqual(await texts(page), [
      "red orange true",
      "open still",
      "next",
      "100%",
      "3Install",
      "5 timesagain",
      "last",
    ]);
    const look = (text: string) =>
      page.evaluate(`(() => {
        const all = [...document.querySelectorAll(".out-text span")];
        const style = getComputedStyle(all.find((span) => span.textContent === ${JSON.stringify(text)}));
        return [style.color, style.fontWeight, style.backgroundColor];
      })()`) as Promise<string[]>;
    assert.deepEqual((await look("red")).slice(0, 2), ["rgb(179, 33, 28)", "700"]);
    assert.equal((await look("next"))[2], (await look("open still"))[2]);
    assert.notEqual((await look("next"))[2], "rgba(0, 0, 0, 0)");

    await page.getByRole("button", { name: "Section Install" }).click();
    await row(page, 6).getByText("a", { exact: true }).waitFor();
    assert.equal(
      await page.getByRole("button", { name: "Section Install" }).getAttribute("aria-expanded"),
      "true",
    );
    await page.getByRole("button", { name: "The same line 5 times" }).click();
    await row(page, 12).getByText("again").waitFor();
    assert.deepEqual(errors, []);
  });

  test("what looks like HTML, links, escapes or another direction is harmless", async () => {
    const attack = '<img src=x onerror="window.hacked=1"><script>window.hacked=1</script>';
    await using rig = await startWith({
      attack: [
        `echo '${attack}'`,
        "echo 'javascript:alert(1) data:text/html,x see https://example.com/a?b=1&c=2.'",
        `printf 'safe \\342\\200\\256gpj.exe zero\\342\\200\\213width\\n'`,
        `printf '\\033]0;title\\007\\033[2J\\033[H\\033[?1049h\\033]8;;https://evil.example\\033\\\\click\\033]8;;\\033\\\\\\n'`,
        `printf '\\033]52;c;aGFja2Vk\\007\\033P+q544e\\033\\\\ok\\n'`,
        `printf '\\377\\376 not UTF-8 \\000\\n'`,
      ].join("; "),
    });
    await rig.run();
    await using opened = await openPage(`${rig.url}/runs/1/Unit/attack`);
    const { page, errors } = opened;
    await row(page, 6).getByText("not UTF-8").waitFor();
    const [html, links, direction, title, clipboard, bytes] = await texts(page);
    assert.equal(html, attack);
    assert.equal(links, "javascript:alert(1) data:text/html,x see https://example.com/a?b=1&c=2.");
    assert.equal(direction, "safe U+202Egpj.exe zeroU+200Bwidth");
    assert.equal(title, "click");
    assert.equal(clipboard, "ok");
    assert.equal(bytes, "\ufffd\ufffd not UTF-8 ");
    const found = await page
      .locator(".out-text a")
      .evaluateAll((all) =>
        all.map((a) => [
          a.getAttribute("href"),
          a.textContent,
          a.getAttribute("rel"),
          a.getAttribute("target"),
        ]),
      );
    const link = "https://example.com/a?b=1&c=2";
    assert.deepEqual(found, [[link, link, "noopener noreferrer", "_blank"]]);
    assert.equal(await page.locator(".out-scroll img, .out-scroll script").count(), 0);
    assert.equal(await page.evaluate(() => "hacked" in globalThis), false);
    assert.deepEqual(errors, []);
  });

  test("is followed live, let go by scrolling up, and taken up again at the end", async () => {
    using tape = makeTape();
    await using rig = await startWith({ live: tape.command });
    const started = rig.boss.engine.start({ trigger: "test" });
    assert.ok(started.ok);
    const lines = (from: number, to: number) => {
      for (let n = from; n <= to; n += 1) tape.print(`line ${n}\n`);
    };
    lines(1, 100);
    await using opened = await openPage(`${rig.url}/runs/1/Unit/live`);
    const { page, errors } = opened;
    await row(page, 100).getByText("line 100").waitFor();
    tape.print("half a l");
    await row(page, 101).getByText("half a l", { exact: true }).waitFor();
    tape.print("ine\n");
    await row(page, 101).getByText("half a line", { exact: true }).waitFor();
    lines(102, 1500);
    await row(page, 1500).getByText("line 1500").waitFor();
    await until(
      () => seen(page),
      ([, last]) => last === 1500,
    );

    await page.locator(".out-scroll").hover();
    await page.mouse.wheel(0, -2000);
    const follow = page.getByRole("button", { name: "Follow" });
    await until(
      () => follow.getAttribute("aria-pressed"),
      (pressed) => pressed === "false",
    );
    const before = await stillAt(page);
    assert.ok(before < 1450, `${before}`);
    lines(1501, 1700);
    await until(
      () => page.locator(".out-space").evaluate((element) => element.clientHeight),
      (height) => height >= 1700 * 20,
    );
    assert.equal((await seen(page))[0], before);

    await press(page, "End");
    await until(
      () => seen(page),
      ([, last]) => last === 1700,
    );
    lines(1701, 1702);
    await until(
      () => seen(page),
      ([, last]) => last === 1702,
    );
    assert.equal(await follow.getAttribute("aria-pressed"), "true");

    // A search goes on into what comes.
    await press(page, "/");
    await page.keyboard.type("line 170");
    await page.locator(".out-count").getByText("of 4 lines").waitFor();
    tape.print("line 1703\n");
    await page.locator(".out-count").getByText("of 5 lines").waitFor();
    await press(page, "Escape");
    await press(page, "End");
    tape.print("the end\n");
    tape.end();
    await rig.boss.engine.finished(1);
    await row(page, 1704).getByText("the end").waitFor();
    await follow.waitFor({ state: "detached" });
    assert.deepEqual(errors, []);
  });

  test("goes on where it was after a lost connection, without a gap or a repeat", async () => {
    using tape = makeTape();
    await using rig = await startWith({ live: tape.command });
    rig.boss.engine.start({ trigger: "test" });
    tape.print("one\ntwo\n");
    using proxy = await startProxy(() => rig.url);
    await using opened = await openPage(`${proxy.url}/runs/1/Unit/live`);
    const { page } = opened;
    await row(page, 2).getByText("two").waitFor();
    proxy.cut();
    await page.getByText("The output cannot be read on").waitFor();
    tape.print("three\nfour\n");
    proxy.restore();
    await row(page, 4).getByText("four").waitFor();
    proxy.drop();
    tape.print("five\nthe end\n");
    tape.end();
    await row(page, 6).getByText("the end").waitFor();
    assert.deepEqual(await texts(page), ["one", "two", "three", "four", "five", "the end"]);
  });

  test("search goes through all of it; n and N step, Escape ends it", async () => {
    await using rig = await startWith({
      many: "seq 1 20000; printf 'Th\\033[1me\\033[0m end\\n'; exit 1",
    });
    await rig.run();
    await using opened = await openPage(`${rig.url}/runs/1/Unit/many#L1`);
    const { page, errors } = opened;
    await shown(page, 1);
    await press(page, "/");
    await page.keyboard.type("999");
    const count = page.locator(".out-count");
    await count.getByText("1 of 38 lines").waitFor();
    await press(page, "Enter");
    await row(page, 1999).locator("mark").getByText("999").waitFor();
    await count.getByText("2 of 38 lines").waitFor();
    await press(page, "n");
    await count.getByText("3 of 38 lines").waitFor();
    await press(page, "N");
    await press(page, "N");
    await press(page, "N");
    await count.getByText("38 of 38 lines").waitFor();
    await row(page, 19999).locator("mark").first().waitFor();

    await press(page, "/");
    await page.keyboard.type("the end");
    await count.getByText("1 of 1 line").waitFor();
    assert.equal((await row(page, 20001).locator("mark").allTextContents()).join(""), "The end");
    await page.getByRole("button", { name: "Match case" }).click();
    await count.getByText("no match").waitFor();
    await page.getByRole("button", { name: "Regular expression" }).click();
    await page.getByRole("searchbox", { name: "Search in the output" }).fill("^1.{3}7$");
    await count
      .getByText("1,000 lines")
      .waitFor({ timeout: 1 })
      .catch(() => {});
    await count.getByText("of 1,000 lines").waitFor();
    await page.getByRole("searchbox", { name: "Search in the output" }).fill("(");
    await count.getByText("not a pattern").waitFor();
    await page.getByRole("searchbox", { name: "Search in the output" }).focus();
    await press(page, "Escape");
    await count.waitFor({ state: "detached" });
    assert.deepEqual(
      errors.filter((error) => !error.includes("400")),
      [],
    );
  });

  test("e leads to the first error, into a folded section too; else to the last command's end", async () => {
    await using rig = await startWith({
      red: [
        "seq 1 3000; echo 0 errors so far; echo ::group::Tests; echo a; echo b",
        "echo 'E   assert 41 == 42'; echo ::endgroup::; seq 1 3000",
        "echo 'FAILED test_x.py::test_y'; exit 1",
      ].join("; "),
      quiet: "seq 1 2000; exit 3",
    });
    await rig.run();
    await using opened = await openPage(`${rig.url}/runs/1/Unit/red#L1`);
    const { page } = opened;
    await shown(page, 1);
    await press(page, "e");
    await page.locator(".out-row.is-current").getByText("assert 41 == 42").waitFor();
    await page.getByText("Error 1 of 2").waitFor();
    await press(page, "e");
    await page.locator(".out-row.is-current").getByText("FAILED test_x.py").waitFor();
    await page.getByText("Error 2 of 2").waitFor();
    await press(page, "E");
    await page.locator(".out-row.is-current").getByText("assert 41 == 42").waitFor();

    await page.goto(`${rig.url}/runs/1/Unit/quiet#L1`);
    await shown(page, 1);
    await press(page, "e");
    await page.locator('.out-row.is-current[data-line="2000"]').waitFor();
  });

  test("a line or a range has an address, which survives a reload", async () => {
    await using rig = await startWith({ many: "seq 1 5000" });
    await rig.run();
    await using opened = await openPage(`${rig.url}/runs/1/Unit/many`);
    const { page } = opened;
    // With its attempt: the newest one may be another by the time that somebody follows it.
    const permalink = "/runs/1/Unit/many?attempt=1#L3";
    assert.equal(await row(page, 3).locator(".out-number").getAttribute("href"), permalink);
    await row(page, 3).locator(".out-number").click();
    await until(
      async () => page.url(),
      (url) => url === rig.url + permalink,
    );
    await row(page, 6)
      .locator(".out-number")
      .click({ modifiers: ["Shift"] });
    await until(
      async () => new URL(page.url()).hash,
      (hash) => hash === "#L3-L6",
    );
    // The page is drawn a moment after its address has changed.
    await until(
      () => page.locator(".out-row.is-chosen").count(),
      (count) => count === 4,
    );

    await page.goto(`${rig.url}/runs/1/Unit/many#L4000-L4001`);
    await page.reload();
    await row(page, 4000).getByText("4000").first().waitFor();
    await until(
      () => page.locator(".out-row.is-chosen").count(),
      (chosen) => chosen === 2,
    );
    const [first, last] = await seen(page);
    assert.ok(first < 4000 && 4001 < last, `${first} to ${last}`);
  });

  test("what is selected is copied as printed, without numbers, across more than a screen", async () => {
    await using rig = await startWith({ many: "seq -f 'line %g' 1 3000" });
    await rig.run();
    await using opened = await openPage(`${rig.url}/runs/1/Unit/many`);
    const { page } = opened;
    // A row may be there before its text, which comes with that of the rows around it.
    await row(page, 4).getByText("line 4").waitFor();
    await page.evaluate(`getSelection().setBaseAndExtent(
      document.querySelector('[data-line="2"] .out-text').firstChild, 0,
      document.querySelector('[data-line="4"] .out-text').firstChild, 6)`);
    assert.equal(await page.evaluate("getSelection().toString()"), "line 2\nline 3\nline 4");
    // Scrolled far away, the beginning of the selection is still there.
    await page.locator(".out-scroll").hover();
    for (let i = 0; i < 12; i += 1) {
      const [first] = await seen(page);
      await page.mouse.wheel(0, 500);
      await until(
        () => seen(page),
        ([now]) => now > first || now > 200,
      );
    }
    const [, last] = await seen(page);
    await row(page, last).getByText(`line ${last}`).waitFor();
    await page.evaluate(`getSelection().extend(
      document.querySelector('[data-line="${last}"] .out-text').firstChild, 4)`);
    const lines = ((await page.evaluate("getSelection().toString()")) as string).split("\n");
    assert.equal(lines.length, last - 1);
    assert.deepEqual(lines.slice(0, 2), ["line 2", "line 3"]);
  });

  test("copied lines, a copied command, times, raw and download", async () => {
    await using rig = await startWith(
      { one: "printf 'a\\n\\033[31mb\\033[0m\\nc\\n'; sleep 0.4; echo d" },
      `, { env: { CI: "1", MY_TOKEN: "hidden" }, workdir: "/tmp" }`,
    );
    await rig.run();
    await using opened = await openPage(`${rig.url}/runs/1/Unit/one#L2-L3`);
    const { page, errors } = opened;
    await page.context().grantPermissions(["clipboard-read", "clipboard-write"]);
    const copied = () => page.evaluate("navigator.clipboard.readText()");
    await page.getByRole("button", { name: "Copy 2 lines" }).click();
    await until(copied, (text) => text === "b\nc\n");
    await page.getByRole("button", { name: "Copy as command" }).click();
    await until(copied, (text) => String(text).includes("docker"));
    assert.equal(
      await copied(),
      "# bettertest repro 1 Unit.one\n# 'set these yourself before: MY_TOKEN'\n" +
        "docker run --rm --init -e CI=1 -e MY_TOKEN -w /tmp --entrypoint sh some/image:1 -c " +
        `'printf '\\''a\\n\\033[31mb\\033[0m\\nc\\n'\\''; sleep 0.4; echo d'`,
    );
    // On plain HTTP there is no clipboard: what is to be copied by hand stays.
    await page.evaluate(`(() => {
      Object.defineProperty(navigator, "clipboard", { value: undefined });
      const start = setTimeout;
      globalThis.waits = [];
      globalThis.setTimeout = (work, ms, ...more) => {
        globalThis.waits.push(ms);
        return start(work, ms, ...more);
      };
    })()`);
    await page.getByRole("button", { name: "Copy 2 lines" }).click();
    await page.locator("textarea:focus").waitFor();
    assert.equal(await page.locator("textarea").inputValue(), "b\nc\n");
    assert.equal(await page.evaluate("globalThis.waits.includes(2000)"), false);
    await page.getByRole("button", { name: "Wrap" }).focus();
    await page.locator("textarea").waitFor({ state: "detached" });
    await press(page, "T");
    const times = page.locator(".out-time");
    await times.first().getByText("+0.00s").waitFor();
    assert.match((await times.allTextContents()).at(-1) ?? "", /^\+[01]\.[1-9]\ds$/);

    const raw = await page.getByRole("link", { name: "Raw" }).getAttribute("href");
    const response = await fetch(rig.url + raw);
    assert.match(response.headers.get("content-type") ?? "", /^text\/plain/);
    assert.equal(await response.text(), "a\n\x1b[31mb\x1b[0m\nc\nd\n");
    const [download] = await Promise.all([
      page.waitForEvent("download"),
      page.getByRole("link", { name: "Download" }).click(),
    ]);
    assert.equal(download.suggestedFilename(), "Unit.one-run1-attempt1.txt");
    assert.deepEqual(errors, []);
  });

  test("a line of 60 MB freezes nothing, and its middle is shown on request", async () => {
    await using rig = await startWith({
      long: "echo before; head -c 60000000 /dev/zero | tr '\\0' x; echo; echo after",
    });
    await rig.run();
    await using opened = await openPage(`${rig.url}/runs/1/Unit/long`);
    const { page, errors } = opened;
    await row(page, 3).getByText("after").waitFor();
    const length = () => row(page, 2).evaluate((element) => element.textContent?.length ?? 0);
    assert.ok((await length()) < 20_000);
    await page.getByRole("button", { name: "show 60.0 MB more" }).click();
    await until(length, (chars) => chars > 200_000);
    await press(page, "w");
    await until(length, (chars) => chars > 200_000);
    assert.deepEqual(errors, []);
  });

  test("nothing printed, and nothing to read any more, are said in words", async () => {
    await using rig = await startWith({ silent: "true" });
    await rig.run();
    await using opened = await openPage(`${rig.url}/runs/1/Unit/silent`);
    await opened.page.getByText("It printed nothing.").waitFor();
    await rig.boss.engine.outputs.remove(1);
    let asked = 0;
    opened.page.on("request", (request) => {
      if (request.url().includes("/output/")) asked += 1;
    });
    await opened.page.reload();
    const gone = "The output is gone: the output of this task is not there any more.";
    await opened.page.getByText(gone).waitFor();
    // More than one try of each kind would take.
    await opened.page.waitForTimeout(2500);
    assert.equal(asked, 2, "its first lines and its outline, once each");
  });

  test("two attempts side by side: what differs, times aside", async () => {
    const folder = mkdtempSync(join(tmpdir(), "bettertest-attempts-"));
    const command = [
      `n=$(cat ${folder}/n 2>/dev/null || echo 0)`,
      `echo $((n + 1)) > ${folder}/n`,
      "seq 1 50; echo done in $n.3s; echo attempt $n; seq 51 99; [ $n -gt 0 ]",
    ].join("; ");
    await using rig = await startRig({
      files: {
        ".bettertest/pipedef.ts": `import { run, stage } from "bettertest";
          stage("Unit", {}).task("flaky", () => run("WORKER_URL", "any", ${JSON.stringify(command)}), { retries: 1 });`,
      },
    });
    await rig.run();
    await using opened = await openPage(`${rig.url}/runs/1/Unit/flaky`);
    const { page, errors } = opened;
    await page.getByRole("button", { name: "Compare" }).click();
    await page.getByText("1 place differs").waitFor();
    const cells = () => page.locator(".out-sides tbody tr").allTextContents();
    const around = [49, 50].map((n) => ` ${n}${n} ${n}${n}`);
    const rows = await until(cells, ({ length }) => length > 4);
    assert.deepEqual(rows.slice(0, 4), [
      ...around,
      " 51done in 0.3s 51done in 1.3s",
      "− 52attempt 0+ 52attempt 1",
    ]);
    // The keys of the output that is not there are not taken.
    await press(page, "?");
    await page.getByRole("dialog").waitFor();
    assert.equal(await page.getByRole("dialog").getByText("Begin of the output").count(), 0);
    await press(page, "Escape");
    await page.getByRole("dialog").waitFor({ state: "detached" });
    await page.getByLabel("Ignore times").uncheck();
    await until(cells, (shown) => shown.some((cell) => cell.includes("− 51done in 0.3s")));
    assert.deepEqual(await barriers(page), []);
    await page.getByRole("button", { name: "Compare" }).click();
    await shown(page, 1);
    assert.deepEqual(errors, []);
    rmSync(folder, { recursive: true });
  });

  for (const colorScheme of ["light", "dark"] as const) {
    test(`has no barrier that axe finds, ${colorScheme}`, async () => {
      await using rig = await startWith({
        show: [
          `for i in 0 1 2 3 4 5 6 7; do printf "\\033[3\${i}mcolor\\033[0m \\033[9\${i}mbright\\033[0m \\033[4\${i}mback\\033[0m "; done; echo`,
          "printf 'see https://example.com \\342\\200\\256x\\n'",
          `for i in 208 21 22 250 16 231; do printf "\\033[38;5;\${i}mcolor\\033[0m "; done; echo`,
          "echo ::group::A; echo b; echo ::endgroup::; for i in 1 2 3 4 5; do echo again; done; exit 1",
        ].join("; "),
      });
      await rig.run();
      await using opened = await openPage(`${rig.url}/runs/1/Unit/show#L2`, { colorScheme });
      const { page } = opened;
      await shown(page, 2);
      await press(page, "T");
      await press(page, "/");
      await page.keyboard.type("color");
      await page.locator(".out-count").getByText("lines").waitFor();
      assert.deepEqual(await barriers(page), []);
    });
  }

  test("each question to the boss breaks off once, and all is shown", async () => {
    await using rig = await startWith({ big: "seq 1 3000; echo 'Error: boom'; seq 1 500; exit 1" });
    await rig.run();
    await using opened = await openPage(`${rig.url}/workers`);
    const { page } = opened;
    // As a network that changes does it: every address fails when it is asked for first, scripts too.
    const broken = new Set<string>();
    await page.route("**/*", (route) => {
      const { pathname } = new URL(route.request().url());
      if (route.request().resourceType() === "document" || broken.has(pathname))
        return route.continue();
      broken.add(pathname);
      return route.abort("connectionreset");
    });
    await page.goto(`${rig.url}/runs/1/Unit/big`);
    await shown(page, 3501);
    await press(page, "e");
    await page.locator(".out-row.is-current").getByText("Error: boom").waitFor();
    await page.getByText("The only error").waitFor();
    await press(page, "/");
    await page.keyboard.type("2999");
    await press(page, "Enter");
    await page.locator(".out-count").getByText("1 of 1 line").waitFor();
    const asked = [...broken].join();
    for (const kind of [
      "app-",
      "output-view-",
      "/events",
      "/runs/1",
      "/lines",
      "/outline",
      "/search",
    ])
      assert.ok(asked.includes(kind), `${kind} in ${asked}`);
  });
});
