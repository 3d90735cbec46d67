// Writes by ioredis' Sentinel support, as its documentation has it, until standard input ends.
const Redis = require("ioredis");

const ride = JSON.parse(process.env.RIDE);
const say = (line) => process.stdout.write(line + "\n");
const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

let stopped = false;
process.stdin.resume().on("end", () => { stopped = true; });

const redis = new Redis({
  sentinels: ride.sentinels.map(([host, port]) => ({ host, port })),
  name: ride.masterName,
  password: ride.password,
  sentinelPassword: ride.sentinelPassword,
});
redis.on("error", (error) => say(`seen ${error.message}`));

// The fence of a master that was announced a moment ago: the write was not made.
const refused = (error) => error.message.startsWith("NOREPLICAS");
// Errors after which the documentation says to try again; any other one ends this program.
const expected = (error) => error.name === "MaxRetriesPerRequestError" || error.message.startsWith("READONLY");

async function main() {
  for (let number = 0; !stopped; ) {
    try {
      await redis.set(`${ride.prefix}:${number}`, number);
    } catch (error) {
      if (!expected(error) && !refused(error)) throw error;
      say(`${refused(error) ? "refused" : "retry"} ${error.name}: ${error.message}`);
      await pause(10);
      continue;
    }
    say(`ok ${number}`);
    number += 1;
    await pause(2);
  }
  const info = await redis.client("INFO");
  say(`master ${/ laddr=(\S+)/.exec(info)[1]}`);
  redis.disconnect();
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
