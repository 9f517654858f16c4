"""Compiles a pipeline whose first step is the guard: guard.py COMPONENT COMPILED."""

import sys

from kfp import compiler, components, dsl

component, compiled = sys.argv[1:]
guard = components.load_component_from_file(component)


@dsl.component
def train(manifest: str):
    print(manifest)


@dsl.pipeline(name="churn")
def churn(manifest: str, claim: str, key: str):
    guarded = guard(claim=claim, key=key, run=dsl.PIPELINE_JOB_ID_PLACEHOLDER)
    guarded.set_caching_options(False)
    guarded.set_retry(3)
    with dsl.If(guarded.outputs["decision"] == "go"):
        train(manifest=manifest)


compiler.Compiler().compile(churn, compiled)
