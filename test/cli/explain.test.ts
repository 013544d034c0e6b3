import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { CLI_FIXTURES, type CliOptions, runVnode, transcriptOf } from '../helpers/cli.ts'
import { Goldens } from '../helpers/goldens.ts'

const RULES = ['--rules', 'rules.yaml', '--rules', 'selectors.yaml', '--rules', 'cluster.yaml']

interface Case {
  readonly argv: readonly string[]
  readonly options?: CliOptions
}

const MISSHAPEN_WORKLOADS = `apiVersion: apps/v1
kind: Deployment
metadata: { name: typo }
spec: { template: { spec: { container: [{ name: app }] } } }
---
apiVersion: batch/v1
kind: CronJob
metadata: { name: nightly }
spec: { jobTemplate: { spec: { template: { spec: { containers: {} } } } } }
`

const TYPED_LIST = JSON.stringify({
  kind: 'PodList',
  apiVersion: 'v1',
  items: [{ metadata: { name: 'listed', labels: { app: 'ci' } }, spec: { containers: [{ name: 'app' }] } }],
})

const jsonPod = (name: string) =>
  JSON.stringify({
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name, labels: { app: 'ci' } },
    spec: { containers: [] },
  })

const TAINTED_VNODE = `apiVersion: v1
kind: Node
metadata: { name: cn-hangzhou.vnd-1, labels: { type: virtual-kubelet, k8s.aliyun.com/vnode: "true" } }
spec:
  taints:
    - { key: k8s.aliyun.com/vnode, value: "true", effect: NoSchedule }
    - { key: example.com/reserved, effect: NoExecute }
`

const CASES: Readonly<Record<string, Case>> = {
  'workloads of all kinds': { argv: ['-f', 'workloads.yaml', ...RULES] },
  'Pods of all fates': { argv: ['-f', 'pods.yaml', ...RULES] },
  'DaemonSets are explained as what they are': { argv: ['-f', 'daemonsets.yaml', ...RULES] },
  'before and after': { argv: ['-f', 'one-pod.yaml', ...RULES, '--diff'] },
  'colours and lines broken at the width of the terminal': {
    argv: ['-f', 'one-pod.yaml', '-f', 'pods.yaml', ...RULES, '--diff'],
    options: { hasColor: true, terminal: 80 },
  },
  'no colours where they are not wanted': {
    argv: ['-f', 'one-pod.yaml', ...RULES, '--no-color'],
    options: { hasColor: true },
  },
  'the shipped rules where none are given': { argv: ['-f', 'one-pod.yaml'] },
  'labels of a namespace that the input does not describe': {
    argv: ['-f', 'one-pod.yaml', '--namespace', 'ci', '--namespace-labels', 'eci=true,team=ci'],
  },
  'labels of namespaces one by one': {
    argv: ['-f', 'one-pod.yaml', '-n', 'ci', '--namespace-labels', 'eci=true', '--namespace-labels', 'a=b'],
  },
  'workloads that no Pods can come from': {
    argv: ['-f', '-'],
    options: { stdin: MISSHAPEN_WORKLOADS },
  },
  'such workloads as YAML': { argv: ['-f', '-', '-o', 'yaml'], options: { stdin: MISSHAPEN_WORKLOADS } },
  'a list of one kind as the API has it': {
    argv: ['-f', '-', ...RULES],
    options: { stdin: TYPED_LIST },
  },
  'JSON objects one after the other, and YAML with merge keys': {
    argv: ['-f', '-', '-f', 'merges/deployment.yaml', ...RULES, '-o', 'patch'],
    options: { stdin: ['one', 'two'].map(jsonPod).join('\n') },
  },
  'a VNode that takes no such Pod': {
    argv: ['-f', 'one-pod.yaml', '-f', '-', ...RULES.slice(0, 4)],
    options: { stdin: TAINTED_VNODE },
  },
  'a file of Namespaces and Nodes is not a file of rules': {
    argv: ['-f', 'one-pod.yaml', '--rules', 'cluster.yaml'],
  },
  'rules among the manifests': { argv: ['-f', 'list.json'] },
  'rules among the manifests do not count where others are given': {
    argv: ['-f', 'list.json', '--rules', 'rules.yaml'],
  },
  'a folder': { argv: ['-f', 'folder', ...RULES] },
  'stdin with several documents': {
    argv: ['-f', '-', ...RULES],
    options: { stdin: readFileSync(join(CLI_FIXTURES, 'daemonsets.yaml'), 'utf8') },
  },
  'all rules that do not match': { argv: ['-f', 'folder/b.json', ...RULES, '--all-rules'] },
  'rules with errors': { argv: ['-f', 'one-pod.yaml', '--rules', 'bad-rules.yaml'] },
  'rules with warnings': { argv: ['-f', 'folder/b.json', '--rules', 'quoted-rules.json'] },
  'settings by flag': {
    argv: [
      '-f',
      'one-pod.yaml',
      ...RULES,
      '--vnode-toleration',
      'virtual-kubelet.io/provider=alibabacloud:NoSchedule',
    ],
  },
  'settings by environment': {
    argv: ['-f', 'one-pod.yaml', ...RULES],
    options: {
      env: { VNODE_EXCLUDE_NAMESPACES: 'default', VNODE_NAMESPACE: 'not-looked-at', VNODE_OUTPUT: 'json' },
    },
  },
  'a wrong value in the environment': {
    argv: ['-f', 'one-pod.yaml'],
    options: { env: { VNODE_ALLOW_SKIP: 'sometimes' } },
  },
  'a Pod of a shape that no apiserver takes': { argv: ['-f', 'misshapen.yaml', ...RULES] },
  'such a Pod as a patch': { argv: ['-f', 'misshapen.yaml', ...RULES, '-o', 'patch'] },
  'the Pods as YAML': { argv: ['-f', 'folder', '-f', 'only-service.yaml', ...RULES, '-o', 'yaml'] },
  'everything as JSON': {
    argv: ['-f', 'list.json', '-f', 'pods.yaml', '--rules', 'bad-rules.yaml', '-o', 'json'],
  },
  'nothing that Pods come from': { argv: ['-f', 'only-service.yaml'] },
  'no object at all': { argv: ['-f', 'empty.yaml'] },
  'a missing file': { argv: ['-f', 'nowhere.yaml'] },
  'a missing rules file': { argv: ['-f', 'one-pod.yaml', '--rules', 'nowhere.yaml'] },
  'a folder without manifests': { argv: ['-f', 'no-manifests'] },
  'a file that is not YAML': { argv: ['-f', 'one-pod.yaml', '-f', 'broken.yaml'] },
  'stdin twice': { argv: ['-f', '-', '--rules', '-'] },
  'no file': { argv: [] },
  'Pods by name, without a cluster': { argv: ['ci/web', 'app'] },
  'a cluster, and neither a Pod nor a file': { argv: ['--live'] },
  'a cluster, and rules of files': { argv: ['--live', 'ci/web', '--rules', 'rules.yaml'] },
  'a cluster of which no kubeconfig is': { argv: ['--live', 'ci/web', '--kubeconfig', 'nowhere.yaml'] },
  'an unknown flag': { argv: ['-f', 'one-pod.yaml', '--fast'] },
  'an unknown format': { argv: ['-f', 'one-pod.yaml', '-o', 'xml'] },
  'a flag that needs another format': { argv: ['-f', 'one-pod.yaml', '-o', 'json', '--diff'] },
  'labels that are none': { argv: ['-f', 'one-pod.yaml', '--namespace-labels', 'eci'] },
  help: { argv: ['--help'] },
}

const goldens = new Goldens(join(CLI_FIXTURES, 'goldens/explain'))

for (const [name, { argv, options }] of Object.entries(CASES)) {
  await t.test(name, async t => {
    const command = ['explain', ...argv]
    goldens.check(t, name, transcriptOf(command, await runVnode(command, options)))
  })
}

await t.test('goldens', async t => goldens.checkUnused(t))
