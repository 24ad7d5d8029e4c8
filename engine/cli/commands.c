/* The command table. Plain data: parser, --help, man page, reference and completions come from it. */
#include "cli/commands.h"

#define SET_OPTION                                                                                 \
    {.name = "set", .kind = MM_CLI_LIST, .value = "KEY=VALUE",                                      \
     .help = "override a key of the job file (limits.loaders=2, collections.0.to=x); repeatable, "  \
             "not for secrets"}

#define ONLY_OPTIONS                                                                                \
    {.name = "col", .kind = MM_CLI_LIST, .value = "NAMES",                                          \
     .help = "only these collections, separated by commas; repeatable"},                            \
    {.name = "table", .letter = 't', .kind = MM_CLI_LIST, .value = "NAME",                          \
     .help = "the same for one collection or index"}

static const mm_cli_option globals[] = {
    {.name = "config", .letter = 'c', .kind = MM_CLI_VALUE, .value = "FILE",
     .help = "the job file, instead of an operand"},
    {.name = "state-dir", .kind = MM_CLI_VALUE, .value = "DIR",
     .help = "where savepoints are kept; default: $MMRESUME_STATE_DIR, else "
             "$XDG_STATE_HOME/mmresume, else ~/.local/state/mmresume"},
    {.name = "log-format", .kind = MM_CLI_VALUE, .value = "FORMAT", .choices = "text|json",
     .help = "text or json lines on stderr"},
    {.name = "log-level", .kind = MM_CLI_VALUE, .value = "LEVEL",
     .choices = "error|warn|info|debug", .help = "error, warn, info (default) or debug"},
    {.name = "verbose", .letter = 'v', .help = "the same as --log-level debug"},
    {.name = "quiet", .letter = 'q', .help = "warnings and errors only, no progress"},
    {.name = "help", .letter = 'h', .help = "help on the command"},
    {.name = "version", .help = "the version of mmresume"},
};

static const mm_cli_option run_options[] = {
    SET_OPTION,
    ONLY_OPTIONS,
    {.name = "or-resume", .help = "if the last run is unfinished, go on with it"},
    {.name = "stop-after", .kind = MM_CLI_VALUE, .value = "DURATION",
     .help = "stop after this time as if interrupted (exit 75); 5h, 90m"},
};
static const mm_cli_example run_examples[] = {
    {"mmresume run migration.yaml", "a job file of milvus-migration or MilvusDM, as it is"},
    {"mmresume run products.yaml", "move what the file says, with a progress line"},
    {"mmresume run nightly.yaml --or-resume --stop-after 5h", "a night's window, for cron"},
    {"mmresume run job.yaml --set limits.rate='20000 rows/s'", "with a limit of its own"},
};

static const mm_cli_example dump_examples[] = {
    {"mmresume dump products.yaml", "write the files that another machine will load"},
};
static const mm_cli_example load_examples[] = {
    {"mmresume load products.yaml", "import them, index, load, verify"},
};

static const mm_cli_option resume_options[] = {
    SET_OPTION,
    {.name = "repair", .help = "write again what the last verification found wrong, remove what the source lost since it was copied"},
    {.name = "stop-after", .kind = MM_CLI_VALUE, .value = "DURATION",
     .help = "stop after this time as if interrupted (exit 75)"},
};
static const mm_cli_example resume_examples[] = {
    {"mmresume resume products", "go on where the last savepoint was committed"},
    {"mmresume resume products --set limits.loaders=1", "the same, more gently"},
};

static const mm_cli_option status_options[] = {
    {.name = "watch", .help = "draw again every second until the run ends"},
    {.name = "json", .help = "one JSON object; unknown values are null"},
};
static const mm_cli_example status_examples[] = {
    {"mmresume status", "all jobs of the state folder"},
    {"mmresume status products --watch", "follow a run from another shell"},
};

static const mm_cli_option plan_options[] = {
    SET_OPTION,
    ONLY_OPTIONS,
    {.name = "json", .help = "one JSON object"},
    {.name = "write", .help = "the job file with all collections and fields written out, ready to be changed and run"},
};
static const mm_cli_example plan_examples[] = {
    {"mmresume plan products.yaml", "collections, schemas, rows, bytes, tasks, warnings"},
    {"mmresume plan products.yaml --write > products_full.yaml", "a job file in which every field can be renamed or left out"},
};

static const mm_cli_option verify_options[] = {
    SET_OPTION,
    {.name = "full", .help = "read every row again and compare it, whatever the job file says"},
};
static const mm_cli_example verify_examples[] = {
    {"mmresume verify products --full", "compare every row; exit 4 names the first differences"},
};

static const mm_cli_example cancel_examples[] = {
    {"mmresume cancel products", "the run ends with exit 8, here or in the other process"},
};

static const mm_cli_option reset_options[] = {
    {.name = "yes", .letter = 'y', .help = "do not ask"},
};
static const mm_cli_example reset_examples[] = {
    {"mmresume reset products", "asks for the job's name, then forgets the job"},
};

static const mm_cli_option export_options[] = {
    {.name = "sqlite", .letter = 's', .kind = MM_CLI_VALUE, .value = "FILE",
     .help = "the database db/meta.sqlite of the Milvus, path or URL; it is not changed"},
    {.name = "mysql", .letter = 'm', .kind = MM_CLI_VALUE, .value = "DSN",
     .help = "user:password@tcp(host:port)/database, or mysql://user:password@host:port/database; "
             "'${NAME}' is taken from the environment, so that a password need not stand here"},
    {.name = "mysql-password-file", .kind = MM_CLI_VALUE, .value = "FILE",
     .help = "file with the password, where the DSN has none"},
    {.name = "mysql-ca", .kind = MM_CLI_VALUE, .value = "FILE",
     .help = "PEM file of authorities: TLS, with the server's certificate verified"},
    {.name = "output", .letter = 'o', .kind = MM_CLI_VALUE, .value = "DIR",
     .help = "folder or URL where meta.json is written; default: here"},
};
static const mm_cli_example export_examples[] = {
    {"mmresume export -s /var/lib/milvus/db/meta.sqlite -o out", "out/meta.json"},
    {"mmresume export -m 'root:${PASSWORD}@tcp(db)/milvus' -o s3://bucket/dir",
     "from MySQL, into an object store"},
};

static const mm_cli_example inspect_examples[] = {
    {"mmresume inspect products.index", "the type tree, dimensions and rows of a FAISS file"},
    {"mmresume inspect s3://bucket/products.index", "the same in an object store; credentials from the environment"},
    {"mmresume inspect http://127.0.0.1:19530", "the collections of a Milvus server"},
    {"mmresume inspect http://127.0.0.1:9200/products", "the fields of an index of Elasticsearch or OpenSearch"},
};

static const mm_cli_option drivers_options[] = {
    {.name = "json", .help = "one JSON array"},
};
static const mm_cli_example drivers_examples[] = {
    {"mmresume drivers", "all sources and targets"},
    {"mmresume drivers milvus", "every key that a driver understands"},
};

static const mm_cli_option config_options[] = {
    SET_OPTION,
    ONLY_OPTIONS,
    {.name = "check", .help = "say whether the file is a valid job (default)"},
    {.name = "show", .help = "print the job complete, with all defaults and hidden secrets"},
    {.name = "schema", .help = "print the JSON schema of job files, for editors"},
};
static const mm_cli_example config_examples[] = {
    {"mmresume config --check job.yaml", "exit 3 and line and column of the first mistake"},
    {"mmresume config --schema > mmresume.schema.json", "completion and checks in an editor"},
};

static const mm_cli_example completion_examples[] = {
    {"mmresume completion bash > /etc/bash_completion.d/mmresume", "for every user of bash"},
    {"mmresume completion fish > ~/.config/fish/completions/mmresume.fish", "for fish"},
};

static const mm_cli_option help_options[] = {
    {.name = "man", .help = "the manual page, in roff"},
    {.name = "markdown", .help = "the reference in Markdown, or one topic of it: commands, "
                                 "exit-codes, job, drivers"},
};

#define OPTIONS(array) .options = array, .option_count = MM_COUNT(array)
#define EXAMPLES(array) .examples = array, .example_count = MM_COUNT(array)

static const mm_command commands[] = {
    {.name = "run", .alias = "start", .operand = "[JOB.yaml]", .operands_max = 1,
     .hint = MM_HINT_JOB_FILE, OPTIONS(run_options), EXAMPLES(run_examples), .run = mm_cmd_run,
     .summary = "start a run of a job",
     .help = "Plans the job, moves every row and ends with a verdict. Without a file, ./mmresume.yaml is taken, "
             "else ./migration.yaml or ./configs/migration.yaml.\n\n"
             "Job files of milvus-migration and MilvusDM run as they are; `mmresume config --show FILE` prints what "
             "they become.\n\n"
             "Killed at any moment, it goes on from the last savepoint with `mmresume resume JOB`; "
             "a new run is refused (exit 6) as long as an unfinished one exists, unless "
             "--or-resume is given. SIGINT or SIGTERM stops cleanly with exit 75, a second one at "
             "once; both are safe."},
    {.name = "dump", .operand = "[JOB.yaml]", .operands_max = 1, .hint = MM_HINT_JOB_FILE, OPTIONS(run_options),
     EXAMPLES(dump_examples), .run = mm_cmd_dump, .summary = "only write the staged files of a job",
     .help = "Writes every row as files to target.staging, with a manifest for each collection, and verifies them; "
             "the target is not asked. `mmresume load` of the same job file brings them in, also on another "
             "machine that can read the folder or bucket.\n\n"
             "It is a job of its own, NAME-dump: `mmresume resume NAME-dump` goes on with it."},
    {.name = "load", .operand = "[JOB.yaml]", .operands_max = 1, .hint = MM_HINT_JOB_FILE, OPTIONS(run_options),
     EXAMPLES(load_examples), .run = mm_cmd_load, .summary = "only load the staged files of a job",
     .help = "Imports what `mmresume dump` left at target.staging, and ends with a verdict. The source of the "
             "job file is not read.\n\n"
             "It is a job of its own, NAME-load: `mmresume resume NAME-load` goes on with it."},
    {.name = "resume", .operand = "JOB", .operands_min = 1, .operands_max = 1, .hint = MM_HINT_JOB,
     OPTIONS(resume_options), EXAMPLES(resume_examples), .run = mm_cmd_resume,
     .summary = "go on with the unfinished run of a job",
     .help = "Checks that source, target and the deciding keys of the job are what they were, puts "
             "up the fence against late requests of the dead process, writes the rows in doubt "
             "again by key, and goes on with the rest. JOB is the job's name, or its file.\n\n"
             "Credentials, addresses, limits and verification may be changed with --set."},
    {.name = "status", .operand = "[JOB]", .operands_max = 1, .hint = MM_HINT_JOB,
     OPTIONS(status_options), EXAMPLES(status_examples), .run = mm_cmd_status,
     .summary = "how far a run is, or how it ended",
     .help = "Reads the savepoint store only; works beside a running job. Without JOB, one line "
             "per job."},
    {.name = "plan", .operand = "[JOB.yaml]", .operands_max = 1, .hint = MM_HINT_JOB_FILE,
     OPTIONS(plan_options), EXAMPLES(plan_examples), .run = mm_cmd_plan,
     .summary = "what a run would move; changes nothing",
     .help = "Opens the source, and prints collections, schemas, rows, bytes, tasks and warnings. The "
             "target is not asked: what it holds, and whether it can be reached, shows when the run begins."},
    {.name = "verify", .operand = "JOB", .operands_min = 1, .operands_max = 1, .hint = MM_HINT_JOB,
     OPTIONS(verify_options), EXAMPLES(verify_examples), .run = mm_cmd_verify,
     .summary = "prove again that the target equals the source",
     .help = "Verifies the last run of the job as its file asks, or in full. A difference exits "
             "with 4 and names the first rows; `mmresume resume JOB --repair` writes them again, "
             "and removes those that a source which is written to has lost since. Where nothing can be "
             "proven (a server is away, the command is stopped), the run stays what it was."},
    {.name = "cancel", .operand = "JOB", .operands_min = 1, .operands_max = 1, .hint = MM_HINT_JOB,
     EXAMPLES(cancel_examples), .run = mm_cmd_cancel,
     .summary = "end a run for good",
     .help = "Asks the process that works on the job to stop and waits for it, or cancels an "
             "unfinished run. A cancelled run cannot be resumed; the next `mmresume run` starts "
             "anew. Rows that were written stay."},
    {.name = "reset", .operand = "JOB", .operands_min = 1, .operands_max = 1, .hint = MM_HINT_JOB,
     OPTIONS(reset_options), EXAMPLES(reset_examples), .run = mm_cmd_reset,
     .summary = "forget a job: the only command that destroys savepoints",
     .help = "Removes the job's savepoint store with its history. Asks for the job's name first; "
             "without a terminal it needs --yes. Rows in the target stay."},
    {.name = "export", OPTIONS(export_options), EXAMPLES(export_examples), .run = mm_cmd_export,
     .summary = "the metadata of a Milvus 1.x as meta.json",
     .help = "Reads the metadata of a Milvus 0.9 to 1.x from its SQLite or MySQL and writes it as "
             "DIR/meta.json, which the source `milvus1x` reads in its place: there, the database is no "
             "longer needed. milvus-migration reads the file, too, with each partition as a collection."},
    {.name = "inspect", .operand = "PATH|URL", .operands_min = 1, .operands_max = 1,
     .hint = MM_HINT_FILE, EXAMPLES(inspect_examples), .run = mm_cmd_inspect,
     .summary = "what a file or a server holds",
     .help = "Asks each driver whether it knows the kind, and prints what it finds: a file of rows or an index, local or "
             "in an object store; a folder of collections with their manifests, as `mmresume dump` and the target "
             "`files` leave it; the data folder of a Milvus 1.x; a Milvus (URL, host:port or the .db of a Milvus Lite, "
             "with the token in $MILVUS_TOKEN)."},
    {.name = "drivers", .operand = "[NAME]", .operands_max = 1, .hint = MM_HINT_DRIVER,
     OPTIONS(drivers_options), EXAMPLES(drivers_examples), .run = mm_cmd_drivers,
     .summary = "sources and targets, their capabilities and keys",
     .help = "Without NAME, one line per driver; with it, every key that `source:` or `target:` "
             "understands with this driver."},
    {.name = "config", .operand = "[JOB.yaml]", .operands_max = 1, .hint = MM_HINT_JOB_FILE,
     OPTIONS(config_options), EXAMPLES(config_examples), .run = mm_cmd_config,
     .summary = "check or print a job file, or its JSON schema",
     .help = "Works without source and target. Every mistake is named with its line, its column "
             "and the nearest key that exists."},
    {.name = "completion", .operand = "bash|zsh|fish", .operands_min = 1, .operands_max = 1,
     .hint = MM_HINT_SHELL, EXAMPLES(completion_examples), .run = mm_cmd_completion,
     .summary = "a completion script for a shell",
     .help = "Prints the script. Names of jobs are completed from the state folder."},
    {.name = "version", .run = mm_cmd_version, .summary = "the version of mmresume",
     .help = "Prints the version."},
    {.name = "help", .operand = "[COMMAND]", .operands_max = 1, .hint = MM_HINT_COMMAND,
     OPTIONS(help_options), .run = mm_cmd_help, .summary = "help on a command",
     .help = "The same as `mmresume COMMAND --help`."},
};

const mm_cli_table mm_cli = {commands, MM_COUNT(commands), globals, MM_COUNT(globals)};
