// What node-postgres makes of the arguments of prism.publish(): test/t/drivers.pl reads a line for each call, "name outcome".
const { Client } = require('pg');

const binary = Buffer.from([0x00, 0xff, 0x10]);
const json = '{"a": "\\\\"}';

async function main() {
	const client = new Client({ host: process.env.PGHOST });
	await client.connect();
	const report = async (name, query, value) => {
		try {
			await client.query(query, [`node-${name}`, value]);
			console.log(`node-${name} ok`);
		} catch (error) {
			console.log(`node-${name} ${error.code}`);
		}
	};
	const one = (type) => `SELECT prism.publish('drivers', $2${type}, $1)`;
	const batch = (type) => `SELECT prism.publish_batch('drivers', $2${type}, ARRAY[$1])`;
	await report('bytes', one(''), binary);
	await report('bytes-typed', one('::bytea'), binary);
	await report('bytes-array', one(''), [binary]);
	await report('json', one(''), json);
	await report('json-object', one(''), JSON.parse(json));
	await report('json-typed', one('::jsonb'), json);
	await report('batch-bytes', batch(''), [binary]);
	await report('batch-bytes-typed', batch('::bytea[]'), [binary]);
	await report('batch-json', batch(''), [json]);
	await report('batch-json-object', batch(''), [JSON.parse(json)]);
	await report('batch-json-typed', batch('::jsonb[]'), [json]);
	await client.end();
}

main();
