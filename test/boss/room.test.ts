import assert from "node:assert/strict";
import { test } from "node:test";
import { array, boolean, assert as hold, integer, property, record } from "fast-check";
import { Room } from "../../src/boss/room.js";

test("the one with most room, whatever is added, moved or removed; of equals the one of lower order", () => {
  const step = record({
    item: integer({ min: 0, max: 12 }),
    load: integer({ min: 0, max: 4 }),
    isThere: boolean(),
  });
  hold(
    property(array(step, { maxLength: 60 }), (steps) => {
      const items = Array.from({ length: 13 }, (_, order) => ({ order }));
      const room = new Room<{ readonly order: number }>();
      const model = new Map<number, number>();
      for (const { item, load, isThere } of steps) {
        if (isThere) {
          room.set(items[item]!, load);
          model.set(item, load);
        } else {
          room.delete(items[item]!);
          model.delete(item);
        }
        const [best] = [...model].sort((a, b) => a[1] - b[1] || a[0] - b[0]);
        assert.equal(room.most()?.order, best?.[0]);
      }
    }),
    { numRuns: 500 },
  );
});
