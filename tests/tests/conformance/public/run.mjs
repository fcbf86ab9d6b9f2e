// Runs the public suite `http-cache-tests` (Mark Nottingham, BSD-3-Clause) against a cache and tells every outcome as JSON:
//
//   node run.mjs PACKAGE BASE [ID…]
//
// PACKAGE is its folder, BASE the cache's URL; with IDs, those tests alone.

import { createRequire } from 'node:module'
import { pathToFileURL } from 'node:url'

const [folder, base, ...ids] = process.argv.slice(2)
const load = path => import(pathToFileURL(`${folder}/${path}`))
const fetch = createRequire(`${folder}/package.json`)('node-fetch')

const suites = [...(await load('tests/index.mjs')).default, (await load('tests/surrogate-control.mjs')).default]
const { runTests, getResults } = await load('client/runner.mjs')

const wanted = test => !test.browser_only && (ids.length === 0 || ids.includes(test.id))
const chosen = suites.map(suite => ({ ...suite, tests: suite.tests.filter(wanted) }))
await runTests(chosen, fetch, false, base)

const results = getResults()
const outcome = (kind, result) => {
  if (result === true) return kind === 'check' ? 'yes' : 'pass'
  if (result[0] === 'Setup') return 'setup'
  if (result[0] !== 'Assertion') return 'broken'
  return kind === 'check' ? 'no' : 'fail'
}
const told = chosen.flatMap(suite => suite.tests).map(test => {
  const kind = test.kind ?? 'required'
  const result = results[test.id]
  return { id: test.id, kind, outcome: outcome(kind, result), why: result === true ? '' : result[1] }
})
console.log(JSON.stringify(told))
// Connections that the cache keeps open hold nothing up.
process.exit(0)
