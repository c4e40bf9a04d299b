"""Every setting of wandb's and what becomes of it, as data: the gate passes what is allowed here, refuses the rest.

A test walks wandb's own settings, variables and arguments, so that a new version's new name fails it. The table at the
end of docs/what-leaves-my-machine.md is made of this one.

Longer than 250 lines: it is one table, and wandb has some 270 names to be in it.
"""

from __future__ import annotations

from typing import Any, Literal, NamedTuple


class Rule(NamedTuple):
    """The verdict on one of wandb's settings: set by us, harmless, or refused.

    Attributes:
        verdict: `ours`: the package sets it, by the switch in `channel` or always alike; `harmless`: passed on as
            given; `refused`: an error before the run starts, unless the value is wandb's own default.
        text: what it does, or would do; for `ours` and `refused` also what to do instead.
        passes: for `ours`: values that ask for what is set anyway.
        channel: the option of the group `wandb` that opens it; empty if none does.
        taken: for `ours`: the value given is used once the channel is open.
    """

    verdict: Literal["ours", "harmless", "refused"]
    text: str
    passes: tuple[Any, ...] = ()
    channel: str = ""
    taken: bool = False


def _ours(names: str, text: str, *passes: Any, channel: str = "", taken: bool = False) -> dict[str, Rule]:
    return dict.fromkeys(names.split(), Rule("ours", text, passes, channel, taken))


def _harmless(names: str, text: str) -> dict[str, Rule]:
    return dict.fromkeys(names.split(), Rule("harmless", text))


def _refused(names: str, text: str) -> dict[str, Rule]:
    return dict.fromkeys(names.split(), Rule("refused", text))


_LAUNCH = "part of W&B Launch, whose jobs send program, code and configuration of their own"
_SWEEP = "part of W&B's sweeps, which send parameters from a file of their own; give each run its options instead"
_NO_CHANNEL = "it never leaves; remove it"
_WANDBS_OWN = "wandb's own, not for users; remove it"
_NO_EFFECT = "without effect here"
_RETRY = "how often and how long requests are tried"
_TOLD = "a word of yours about the run, which the server is told"
_BY_MACHINE = "facts about this machine; --wandb.machine true sends what docs/what-leaves-my-machine.md names"

FIELDS: dict[str, Rule] = {
    # ---- channels ----
    **_ours("console", "sends what the run prints; --wandb.console true does", "off", channel="console", taken=True),
    **_ours(
        "capture_loggers", "sends log lines; --wandb.console true permits it", {}, None, channel="console", taken=True
    ),
    **_ours("host", "this machine's name; --wandb.host true sends it", "", channel="host", taken=True),
    **_ours(
        "x_save_requirements",
        "the installed packages; --wandb.requirements true sends them",
        False,
        channel="requirements",
    ),
    **_ours(
        "x_disable_stats x_disable_machine_info",
        "if false: figures and facts of this machine; --wandb.system_metrics true or --wandb.machine true sends these",
        True,
        channel="system_metrics",
    ),
    **_ours("x_disable_meta", f"if false: paths, user, command line, git; {_BY_MACHINE}", True),
    **_ours("disable_git", "if false: W&B's own git state; --wandb.git true sends ours", True, channel="git"),
    **_ours("disable_git_fork_point", "if false: a patch from another commit; --wandb.git true sends ours", True),
    **_ours(
        "git_commit git_remote_url",
        "the commit and the remote; --wandb.git true finds and sends them",
        "",
        channel="git",
    ),
    **_ours("save_code", "script, notebook, patch; --wandb.code true and --wandb.git true send ours", False),
    **_ours("disable_code", "if false: W&B's own way to send code; --wandb.code true is ours", True, channel="code"),
    **_ours("disable_job_creation", f"if false: {_LAUNCH}", True),
    **_ours("launch", _LAUNCH, False),
    **_ours("label_disable", "if false: looks for labels in the script's text; --wandb.code true sends code", True),
    **_ours("program program_abspath program_relpath", "the script's path; always `train` here", "train", ""),
    **_ours("docker", f"the container's image; {_NO_CHANNEL}", ""),
    **_ours(
        "sync_tensorboard",
        "TensorBoard's whole event files, unmasked pictures included; media.routes says which pictures W&B gets",
        False,
    ),
    **_ours("sagemaker_disable", "if false: SageMaker's parameters and the host's name become the run's", True),
    # ---- what the ledger and the audit rely on ----
    **_ours("allow_media_symlink", "links pictures, so that what is sent can differ from what was handed over", False),
    **_ours("x_skip_transaction_log", "leaves no record on disk, which the audit reads", False),
    **_ours("use_dot_wandb", "hides the record in `.wandb`; the audit reads `wandb`", False),
    **_ours("x_transaction_log_flush_interval", "a picture counts as sent once W&B's row is on disk: 0.1 s", 0.1),
    **_ours("finish_timeout_raises", "if false: nobody learns that something is still to be sent", True),
    **_ours("stop_on_fatal_error", "ends the training when W&B fails", False),
    **_ours("reinit", "whether a run that is open is used again; there is one W&B run per training run", "default"),
    # ---- harmless: where the run goes, what it is called ----
    **_harmless("entity organization project", "where the run goes, which the server is told"),
    **_harmless("run_name run_notes run_tags run_group run_job_type x_label", _TOLD),
    **_harmless("run_id resume resume_from fork_from", "which run of the server's is gone on with"),
    **_harmless("mode", "`online`, `offline` or `disabled`"),
    # ---- harmless: login and connection ----
    **_harmless("api_key identity_token_file credentials_file force relogin login_timeout", "the login at the server"),
    **_harmless("base_url app_url_override", "the server's address"),
    **_harmless("http_proxy https_proxy x_proxies", "a proxy on the way to the server"),
    **_harmless("insecure_disable_ssl", "the server's certificate is not checked"),
    **_harmless("x_disable_viewer", "leaves out a question to the server"),
    **_harmless("init_timeout", "seconds to wait at the start; --wandb.init_timeout wins over environment and files"),
    **_harmless("finish_timeout", "seconds to wait at the end; --wandb.finish_timeout wins over environment and files"),
    **_harmless("heartbeat_seconds summary_timeout x_service_wait x_internal_check_process", "seconds to wait"),
    **_harmless(
        "x_file_stream_retry_max x_file_stream_retry_wait_min_seconds x_file_stream_retry_wait_max_seconds "
        "x_file_stream_timeout_seconds x_file_transfer_retry_max x_file_transfer_retry_wait_min_seconds "
        "x_file_transfer_retry_wait_max_seconds x_file_transfer_timeout_seconds x_graphql_retry_max "
        "x_graphql_retry_wait_min_seconds x_graphql_retry_wait_max_seconds x_graphql_timeout_seconds",
        _RETRY,
    ),
    **_harmless(
        "x_file_stream_max_bytes x_file_stream_max_line_bytes x_file_stream_transmit_interval x_file_stream_no_gzip "
        "x_flow_control_custom x_flow_control_disabled x_network_buffer x_live_policy_rate_limit "
        "x_live_policy_wait_time",
        "size and pace of requests",
    ),
    # ---- harmless: on this machine ----
    **_harmless("root_dir symlink", "where W&B's folder lies on this disk"),
    **_harmless("x_service_transport", "how wandb talks to its process on this machine"),
    **_harmless(
        "quiet silent show_colors show_emoji show_errors show_info show_warnings summary_warnings "
        "max_end_of_run_history_metrics max_end_of_run_summary_metrics x_log_level strict",
        "what wandb prints on this machine, and into its own log",
    ),
    **_harmless("stop_fn", "what happens here when the server asks to stop; only a script can give it"),
    **_harmless("anonymous", _NO_EFFECT),
    # ---- harmless: the form of what is sent anyway ----
    **_harmless(
        "console_multipart console_chunk_max_bytes console_chunk_max_seconds", "pieces of the console, if that is sent"
    ),
    **_harmless(
        "x_stats_sampling_interval x_stats_buffer_size x_stats_gpu_device_ids x_stats_track_process_tree "
        "x_stats_no_cgroup x_stats_self_usage",
        "how system metrics are measured, if they are sent",
    ),
    **_harmless(
        "allow_offline_artifacts allow_val_change ignore_globs table_raise_on_max_row_limit_exceeded "
        "x_history_value_encoding x_primary x_server_side_derived_summary x_update_finish_state",
        "form and completeness of what is sent anyway; less of it can arrive than the ledger says",
    ),
    # ---- refused ----
    **_refused("username email", "a person's name or address, sent with every request; the login says whose run it is"),
    **_refused(
        "x_extra_http_headers",
        "sent with every request, whatever it holds; the logger's `tags` and `notes` are for words",
    ),
    **_refused("config_paths", "sends these files' content; --wandb.config true sends the run's options"),
    **_refused("code_dir", "sends a folder of code; --wandb.code true sends what was loaded"),
    **_refused("git_root git_remote", "W&B's own git state; --wandb.git true reads the folder's `origin`"),
    **_refused("notebook_name x_jupyter_name x_jupyter_path x_jupyter_root", "a notebook's name, path and text"),
    **_refused("x_executable", f"the path of Python; {_NO_CHANNEL}"),
    **_refused("job_name job_source launch_config_path x_runqueue_item_id", _LAUNCH),
    **_refused("sweep_id sweep_param_path", _SWEEP),
    **_refused("x_stats_cpu_count x_stats_cpu_logical_count x_stats_gpu_count x_stats_gpu_type", _BY_MACHINE),
    **_refused("x_stats_disk_paths", "these folders' names become names of metrics; only `/` is measured"),
    **_refused(
        "x_stats_dcgm_exporter x_stats_open_metrics_endpoints x_stats_open_metrics_filters "
        "x_stats_open_metrics_http_headers x_stats_neuron_monitor_config_path x_stats_coreweave_metadata_base_url "
        "x_stats_coreweave_metadata_endpoint",
        "fetches from another service what is then sent; --wandb.system_metrics true sends this machine's load",
    ),
    **_refused("azure_account_url_to_access_key", f"keys of a storage; {_NO_CHANNEL}"),
    **_refused("settings_system", "another file of settings; WANDB_CONFIG_DIR names its folder, and is checked"),
    **_refused("x_files_dir", "moves what is sent to where the audit does not look; save_dir moves all of it"),
    **_refused("resumed x_cli_only_mode x_start_time x_stats_pid x_sync x_sync_dir_suffix", _WANDBS_OWN),
}
"""The fields of `wandb.Settings`."""

VARIABLES: dict[str, str | Rule] = {
    # wandb's other names for fields
    "WANDB_APP_URL": "app_url_override",
    "WANDB_DIR": "root_dir",
    "WANDB_NAME": "run_name",
    "WANDB_NOTES": "run_notes",
    "WANDB_TAGS": "run_tags",
    "WANDB_JOB_TYPE": "run_job_type",
    "WANDB_HTTP_TIMEOUT": "x_graphql_timeout_seconds",
    "WANDB_FILE_PUSHER_TIMEOUT": "x_file_transfer_timeout_seconds",
    "WANDB_SERVICE_TRANSPORT": "x_service_transport",
    "WANDB_USER_EMAIL": "email",
    # read elsewhere
    **_ours(
        "WANDB_ERROR_REPORTING", "reports to wandb's makers, which hold messages with paths; `false`, whatever it says"
    ),
    **_ours("WANDB_DISABLE_WEAVE", "if false: W&B Weave, where installed, sends calls; `true`, whatever it says"),
    **_ours("WANDB_LOG_MODEL", "`true`, `all` or `false`: --wandb.weights by another name", channel="weights"),
    **_harmless("WANDB_CONFIG_DIR", "the folder of wandb's file of settings, which is checked"),
    **_harmless("WANDB_CACHE_DIR WANDB_DATA_DIR WANDB_ARTIFACT_DIR", "folders of wandb's on this disk"),
    **_harmless("WANDB_SERVICE", "set by wandb: its process on this machine"),
    **_harmless("WANDB_DEBUG WANDB_CORE_DEBUG", "more in wandb's own log"),
    **_harmless("WANDB_ENABLE_DCGM_PROFILING WANDB_LIBTPU_PATH", "how system metrics are measured, if they are sent"),
    **_harmless(
        "WANDB_AGENT_REPORT_INTERVAL WANDB_AGENT_KILL_DELAY WANDB_AGENT_DISABLE_FLAPPING WANDB_AGENT_VERSION "
        "WANDB_AGENT_MAX_INITIAL_FAILURES WANDB_ARTIFACT_FETCH_FILE_URL_BATCH_SIZE WANDB_AUTOLOG_TABLE_NAME "
        "WANDB_CRASH_NOSYNC_TIME WANDB_DISABLE_CACHE WANDB_INITED WANDB_JUPYTER WANDB_KUBEFLOW_URL WANDB_MAGIC "
        "WANDB_RELEASE_NAME WANDB_RUN_DIR WANDB_RUN_STORAGE_ID WANDB_SHOW_RUN WANDB_TEST WANDB_WATCH "
        "WANDB_ENSURE_JUPYTER WANDB_USE_V1_ARTIFACTS",
        _NO_EFFECT,
    ),
    **_harmless(
        "WANDB_START_METHOD WANDB_DISABLE_SERVICE WANDB_DISABLE_SYMLINKS WANDB_REQUIRE_CORE WANDB_REQUIRE_SERVICE "
        "WANDB__REQUIRE_CORE WANDB__REQUIRE_SERVICE WANDB__REQUIRE_LEGACY_SERVICE WANDB_CI",
        "older wandb's; without effect here",
    ),
    **_refused("WANDB_GROUP", "wandb does not read it; use WANDB_RUN_GROUP"),
    **_refused("WANDB_DISABLED", "wandb does not read it, and would send; AIGP_WANDB=0 or WANDB_MODE=disabled"),
    **_refused("WANDB_ARGS WANDB_COMMAND", "the command line; --wandb.command true sends it"),
    **_refused("WANDB_DESCRIPTION", "an old name that wandb no longer reads; use WANDB_NOTES"),
    **_refused("WANDB_CONFIG", "sends what it holds; --wandb.config true sends the run's options"),
    **_refused(
        "WANDB_ARTIFACTS WANDB_LAUNCH_QUEUE_NAME WANDB_LAUNCH_QUEUE_ENTITY WANDB_LAUNCH_TRACE_ID "
        "WANDB_LAUNCH_FILE_OVERRIDES WANDB_LAUNCH_MAX_JOBS WANDB_LAUNCH_START_TIMEOUT WANDB_LAUNCH_CODE_PVC_NAME "
        "WANDB_LAUNCH_CODE_PVC_MOUNT_PATH WANDB_LAUNCH_KANIKO_PVC_NAME WANDB_LAUNCH_KANIKO_PVC_MOUNT_PATH "
        "WANDB_LAUNCH_KANIKO_AUTH_SECRET WANDB_LAUNCH_SERVICE_ACCOUNT_NAME WANDB_ONLY_INCLUDE WANDB_GROUP_ID",
        _LAUNCH,
    ),
}
"""Variables that are no field's name with `WANDB_` in front: another name for a field, or a rule of their own."""

ARGUMENTS: dict[str, str | Rule] = {
    # wandb.init's
    "project": "project",
    "entity": "entity",
    "dir": "root_dir",
    "id": "run_id",
    "name": "run_name",
    "notes": "run_notes",
    "tags": "run_tags",
    "group": "run_group",
    "job_type": "run_job_type",
    "mode": "mode",
    "force": "force",
    "resume": "resume",
    "resume_from": "resume_from",
    "fork_from": "fork_from",
    "reinit": "reinit",
    "save_code": "save_code",
    "tensorboard": "sync_tensorboard",
    "sync_tensorboard": "sync_tensorboard",
    "allow_val_change": "allow_val_change",
    "anonymous": "anonymous",
    **_harmless("settings", "each is a field, and has its own line here"),
    **_ours("monitor_gym", f"videos of a Gym environment; {_NO_CHANNEL}", False),
    **_refused(
        "config config_include_keys config_exclude_keys", "sends what it holds; --wandb.config true sends the options"
    ),
    # Lightning's
    "version": "run_id",
    "save_dir": "root_dir",
    "offline": "mode",
    **_ours("log_model", "the weights; --wandb.weights by another name", channel="weights"),
    **_harmless("prefix checkpoint_name add_file_policy", _TOLD),
    **_harmless("skip_logged", "rows that W&B has are not sent again; set by the package"),
    **_refused("experiment", "a W&B run that was opened with settings of its own"),
}
"""Arguments of Lightning's `WandbLogger` and of `wandb.init`."""
