# Reading the files of a reproduced result: NAME-SCALE.csv, a row for each network and attack;
# NAME-SCALE.json, where it comes from and the claims; and for figures 8 and 9 tables of curves.
# python/sense/reproduce/results.py writes them. All but the JSON may be gzipped.

reproduction_limit <- 64 * 2^20 # bytes of a file, and of its content

reproduction_columns <- c(
  "cell", "method", "c", "boundary", "start", "stage_test", "model", "lr", "epochs", "batch_size", "train_size",
  "seed", "attack", "attack_label", "source", "k", "n", "collapsed", "stage_c", "seconds_training"
)

read_reproduction <- function(folder, name, scale, call = parent.frame()) {
  stem <- paste0(name, "-", scale)
  described <- reproduction_json(folder, name, scale, call)
  rows <- reproduction_rows(folder, stem, call)
  structure(
    list(
      name = name, place = described$place, title = described$title, scale = scale,
      rows = rows, paper = paper_numbers(name), claims = claims_table(described$claims),
      shortened = shortened_table(described$shortened),
      missing = as.character(unlist(described$missing)),
      loss = reproduction_curves(folder, paste0(stem, "-loss.csv"), c("image", "step", "loss"), call),
      worst_case = reproduction_curves(folder, paste0(stem, "-accuracy.csv"), c("restart", "step", "k", "n"), call),
      seconds = described$seconds, data = described$data,
      provenance = c(list(command = described$command), described$provenance)
    ),
    class = "sense_reproduction"
  )
}

reproduction_json <- function(folder, name, scale, call = parent.frame()) {
  file <- paste0(name, "-", scale, ".json")
  path <- file.path(folder, file)
  if (!nzchar(folder) || !file.exists(path)) {
    abort_file(
      c(
        "There is no result of {.val {name}} at the scale {.val {scale}}{if (nzchar(folder)) paste(' in', folder) else ' in the package'}.",
        i = "To train its networks: {.code reproduce_sense(\"{name}\", \"{scale}\", run = TRUE, out = \"reproduce\")}."
      ),
      call = call
    )
  }
  bytes <- read_bytes(path, reproduction_limit, call)
  described <- parse_json_text(as_text(bytes, path, call), path, call = call)
  check_reproduction_json(described, path, call)
  described
}

reproduction_rows <- function(folder, stem, call) {
  name <- paste0(stem, ".csv")
  rows <- reproduction_csv(folder, name, reproduction_columns, check_reproduction_rows, call)
  if (is.null(rows)) damaged(file.path(folder, name), "it is missing", call)
  for (text in c("boundary", "start", "stage_test", "source")) {
    rows[[text]] <- as.character(rows[[text]])
    rows[[text]][rows[[text]] %in% ""] <- NA
  }
  rows$source <- other_source(rows)
  rows[c("accuracy", "lower", "upper")] <- wilson_interval(rows$k, rows$n)[c("estimate", "lower", "upper")]
  rows
}

reproduction_curves <- function(folder, name, columns, call) {
  check <- function(table, path, call) check_reproduction_curves(table, columns, path, call)
  reproduction_csv(folder, name, columns, check, call)
}

# A table, plain or gzipped, or NULL. It must have `columns`, and stand the `check`.
reproduction_csv <- function(folder, name, columns, check, call) {
  path <- file.path(folder, c(name, paste0(name, ".gz")))
  there <- file.exists(path)
  if (!any(there)) {
    return(NULL)
  }
  if (all(there)) {
    abort_file(
      c(
        "{.file {path[1]}} and {.file {basename(path[2])}} are both there, and only one belongs to the result.",
        i = "Remove the older one."
      ),
      call = call
    )
  }
  path <- path[there]
  bytes <- read_bytes(path, reproduction_limit, call)
  if (endsWith(path, ".gz")) bytes <- gunzip(bytes, reproduction_limit, path, call)
  table <- parse_csv(bytes, path, call)
  if (!all(columns %in% names(table))) {
    damaged(path, sprintf("it has no column %s", setdiff(columns, names(table))[1]), call)
  }
  check(table, path, call)
  table
}

# The source of transfer attacks. PGD on the network itself is none, and gets no source.
other_source <- function(rows) {
  source <- as.character(rows$source)
  source[which(source == rows$method)] <- NA
  source
}

# A table of the Python package: paper.csv or experiments.csv.
table_of_paper <- function(file) {
  path <- system.file("python", "sense", "reproduce", file, package = "sense", mustWork = TRUE)
  utils::read.csv(path, na.strings = "")
}

# The numbers of the paper, as shares.
paper_numbers <- function(experiment = NULL) {
  numbers <- table_of_paper("paper.csv")
  numbers$value <- numbers$value / 100
  numbers$source <- other_source(numbers)
  if (is.null(experiment)) numbers else numbers[numbers$experiment == experiment, ]
}

claims_table <- function(claims) {
  data.frame(
    text = strings(claims, "text"), place = strings(claims, "place"), verdict = strings(claims, "verdict"),
    evidence = strings(claims, "evidence")
  )
}

# What differs from the paper: an option with its values there and here.
shortened_table <- function(shortened) {
  values <- function(name) {
    vapply(shortened, function(one) paste(unlist(one[[name]]), collapse = ", "), "")
  }
  data.frame(
    option = vapply(shortened, function(one) as.character(one$option), ""),
    paper = values("paper"), here = values("here")
  )
}
