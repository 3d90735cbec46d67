// Writes by ioredis' support of Sentinel or Cluster, as its documentation has it, until standard input ends.
const Redis = require("ioredis");

const ride = JSON.parse(process.env.RIDE);
const say = (line) => process.stdout.write(line + "\n");
const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

let stopped = false;
process.stdin.resume().on("end", () => { stopped = true; });

const addresses = (list) => list.map(([host, port]) => ({ host, port }));
const redis = ride.nodes
  ? new Redis.Cluster(addresses(ride.nodes), { redisOptions: { password: ride.password } })
  : new Redis({
      sentinels: addresses(ride.sentinels),
      name: ride.masterName,
      password: ride.password,
      sentinelPassword: ride.sentinelPassword,
    });
redis.on("error", (error) => say(`seen ${error.message}`));

// The fence of a master that was announced a moment ago: the write was not made.
const refused = (error) => error.message.startsWith("NOREPLICAS");
// Errors after which the documentation says to try again; any other one ends this program.
const expected = (error) =>
  ride.nodes
    ? ride.deaths && (error.name === "ClusterAllFailedError" || error.message.startsWith("Too many Cluster redirections"))
    : error.name === "MaxRetriesPerRequestError" || error.message.startsWith("READONLY");

// Whether it was made. In a cluster, a second step: two keys of one slot. While it is open their tries may be over; one
// key's never are.
async function write(number) {
  const key = `${ride.prefix}:${number}`;
  await redis.set(key, number);
  if (!ride.nodes) return true;
  const found = await redis.get(key);
  if (found === null && ride.deaths) {
    say(`retry ${key} went with its master`);
    return false;
  }
  if (found !== String(number)) throw new Error(`${key} is ${found} after it was set`);
  while (!stopped) {
    try {
      await redis.mset(`{${key}}:a`, number, `{${key}}:b`, number);
      return true;
    } catch (error) {
      if (!error.message.startsWith("Too many Cluster redirections")) throw error;
      say(`retry ${error.name}: ${error.message}`);
      await pause(10);
    }
  }
  return false;
}

async function main() {
  for (let number = 0; !stopped; ) {
    try {
      if (!(await write(number))) continue;
    } catch (error) {
      if (!expected(error) && (ride.nodes || !refused(error))) throw error;
      say(`${refused(error) ? "refused" : "retry"} ${error.name}: ${error.message}`);
      await pause(10);
      continue;
    }
    say(`ok ${number}`);
    number += 1;
    await pause(2);
  }
  if (!ride.nodes) {
    const info = await redis.client("INFO");
    say(`master ${/ laddr=(\S+)/.exec(info)[1]}`);
  }
  redis.disconnect();
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
