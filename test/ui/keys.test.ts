import assert from "node:assert/strict";
import { test } from "node:test";
import { type KeyBinding, type KeyPress, Keys } from "../../ui/keys.js";

const plain: KeyPress = {
  key: "",
  ctrlKey: false,
  metaKey: false,
  altKey: false,
  inField: false,
  inDialog: false,
  onControl: false,
  repeat: false,
};

function startKeys(...layers: (readonly Partial<KeyBinding>[])[]) {
  const done: string[] = [];
  const keys = new Keys();
  const remove = layers.map((layer, index) => {
    const bindings = layer.map((binding) => ({
      keys: "x",
      words: `${binding.keys} of ${index}`,
      group: "g",
      run: () => done.push(`${binding.keys} of ${index}`),
      ...binding,
    }));
    return keys.register(() => bindings);
  });
  let now = 0;
  const press = (key: string, more: Partial<KeyPress> = {}, afterMs = 10) => {
    now += afterMs;
    return keys.press({ ...plain, key, ...more }, now);
  };
  return { keys, done, press, remove };
}

test("who came last has the key, until it leaves", () => {
  const { done, press, remove, keys } = startKeys([{ keys: "j" }, { keys: "?" }], [{ keys: "j" }]);
  assert.equal(press("j"), true);
  assert.deepEqual(
    keys
      .list()
      .map(({ words }) => words)
      .sort(),
    ["? of 0", "j of 1"],
  );
  remove[1]?.();
  press("j");
  assert.equal(press("z"), false);
  assert.deepEqual(done, ["j of 1", "j of 0"]);
});

test("one key after the other, and only soon after it", () => {
  const { done, press } = startKeys([{ keys: "g h" }, { keys: "h" }]);
  press("g");
  press("h");
  press("g");
  press("h", {}, 5000);
  assert.deepEqual(done, ["g h of 0", "h of 0"]);
});

test("who types is not disturbed, but for what is meant for there", () => {
  const { done, press } = startKeys([{ keys: "n" }, { keys: "Mod+k", inFields: true }]);
  assert.equal(press("n", { inField: true }), false);
  press("K", { inField: true, ctrlKey: true });
  press("k", { metaKey: true });
  assert.deepEqual(done, ["Mod+k of 0", "Mod+k of 0"]);
});

test("Enter on a link is the link's; the browser's own keys stay the browser's", () => {
  const { done, press } = startKeys([{ keys: "Enter" }, { keys: "r" }]);
  assert.equal(press("Enter", { onControl: true }), false);
  assert.equal(press("r", { ctrlKey: true }), false);
  press("Enter");
  assert.deepEqual(done, ["Enter of 0"]);
});

test("single letters can be switched off", () => {
  const { done, press, keys } = startKeys([{ keys: "j" }, { keys: "Mod+k" }, { keys: "Escape" }]);
  keys.enable(false);
  for (const key of ["j", "Escape"]) press(key);
  press("k", { ctrlKey: true });
  assert.deepEqual(done, ["Escape of 0", "Mod+k of 0"]);
});

test("before an open dialog the page has no keys, so that Escape is the dialog's", () => {
  const { done, press } = startKeys([
    { keys: "Escape" },
    { keys: "c" },
    { keys: "Mod+k", inFields: true },
  ]);
  for (const key of ["Escape", "c"]) assert.equal(press(key, { inDialog: true }), false);
  assert.equal(press("k", { inDialog: true, ctrlKey: true }), true);
  assert.deepEqual(done, ["Mod+k of 0"]);
});

test("a key that is held down moves on, but starts nothing again", () => {
  const { done, press } = startKeys([
    { keys: "j", repeats: true },
    { keys: "r" },
    { keys: "g g" },
    { keys: "g" },
  ]);
  for (const key of ["j", "r", "g"]) {
    press(key);
    press(key, { repeat: true });
    assert.equal(press(key, { repeat: true }), true, "the browser does nothing else with it");
  }
  assert.deepEqual(done, ["j of 0", "j of 0", "j of 0", "r of 0", "g of 0"]);
});
