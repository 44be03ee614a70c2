import { createMemoryStore } from "../../../src/boss/store/memory.js";
import { storeContract } from "../../contracts/store.js";

storeContract("memory", createMemoryStore);
