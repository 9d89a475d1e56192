# The rows of accuracies() from a data frame of counts, such as a stored table of several seeds, or the
# table of `python -m sense.sweep --table`.

counted_rows <- function(counts, call = parent.frame()) {
  counts <- as.data.frame(counts)
  check_count_table(counts, call)
  counts[] <- lapply(counts, function(column) if (is.factor(column)) as.character(column) else column)
  column <- function(name, default = NA) if (is.null(counts[[name]])) default else counts[[name]]
  rows <- data.frame(
    method = counted_methods(counts), seed = column("seed"), model = column("model"), data = column("data"),
    attack = counted_attacks(counts), k = counts$k, n = counts$n
  )
  options <- counts[setdiff(names(counts), c(other_columns, if (has_radius_of_attack(counts)) "eps"))]
  key <- do.call(paste, c(
    unname(as.list(rows[c("method", "model", "data")])), unname(as.list(options)),
    list(column("training"), name_without_seed(column("cell"), rows$seed)), sep = "\r"
  ))
  rows$training <- match(key, unique(key))
  details <- option_labels(rows$method, cbind(rows[c("model", "data")], options))
  rows$run <- if (is.null(counts[["run"]]) && is.null(counts[["cell"]])) {
    with_details(with_details(rows$method, details), ifelse(is.na(rows$seed), "", paste("seed", rows$seed)))
  } else {
    names <- as.character(column("run", counts[["cell"]]))
    with_details(names, ifelse(several_trainings(names, rows$training), details, ""))
  }
  check_no_row_twice(rows, counts, call)
  cbind(rows[c("run", "method", "seed", "training", "model", "data", "attack", "k", "n")], options)
}

# Columns that do not say how a network was trained, or that are not options: those of accuracies() itself,
# and of the tables of sense.sweep and sense.reproduce.
other_columns <- c(
  "run", "cell", "method", "seed", "training", "model", "data", "attack", "attack_label", "source", "evaluation",
  "k", "n", "accuracy", "estimate", "lower", "upper", "collapsed", "stage_c", "stage_b_gap",
  "seconds_training", "experiment", "scale"
)

check_count_table <- function(counts, call) {
  needed <- c("method", "attack", "k", "n")
  if (!all(needed %in% names(counts)) || !nrow(counts)) {
    abort(
      c("A data frame of counts must have rows, and the columns {.val {needed}}.",
        x = "You gave {describe(counts)}{if (length(counts) && !nrow(counts)) ', without rows'}."),
      call = call
    )
  }
  if (!all_named(counts) || anyDuplicated(names(counts))) {
    abort("Each column of a data frame of counts must have a name of its own, not {.val {names(counts)}}.", call = call)
  }
  for (name in names(counts)) {
    column <- counts[[name]]
    if (!is.atomic(column) || !is.null(dim(column))) {
      refuse(column, name, "a column of numbers or strings", call = call)
    }
  }
  for (name in needed[1:2]) {
    if (anyNA(counts[[name]])) {
      abort("{.field {name}} of row {which(is.na(counts[[name]]))[1]} is missing: give it, or leave out the row.", call = call)
    }
  }
}

# "SENSE-AT (c = 0.7)", as of an evaluated run.
counted_methods <- function(counts) {
  method <- named(counts$method, method_names)
  if (plain_numbers(counts[["c"]])) {
    own <- startsWith(as.character(counts$method), "sense") & counts$method %in% names(method_names) & !is.na(counts[["c"]])
    method[own] <- sprintf("%s (c = %g)", method, counts[["c"]])[own]
  }
  method
}

# "PGD-10 x 2", or "transfer PGD-10 from TRADES".
counted_attacks <- function(counts) {
  attack <- named(counts$attack, attack_names)
  label <- as.character(if (is.null(counts[["attack_label"]])) NA else counts$attack_label)
  known <- rep_len(!is.na(label) & nzchar(label), nrow(counts)) & !counts$attack %in% c("natural", "worst")
  attack[known] <- label[known]
  if (is.null(counts[["source"]])) {
    return(attack)
  }
  source <- other_source(counts)
  ifelse(is.na(source) | !nzchar(source), attack, sprintf("%s from %s", attack, named(source, method_names)))
}

# Whether `eps` is the radius of each attack, which natural images do not have, and not an option of training.
has_radius_of_attack <- function(counts) {
  natural <- counts$attack == "natural"
  !is.null(counts[["eps"]]) && any(natural) && all(is.na(counts$eps[natural]))
}

# The name of a cell of a sweep without its seed says how it was trained; other names do not.
name_without_seed <- function(cell, seed) {
  end <- paste0("_seed-", seed)
  if (!all(!is.na(cell) & endsWith(as.character(cell), end))) {
    return("")
  }
  substr(cell, 1, nchar(cell) - nchar(end))
}

several_trainings <- function(names, trainings) {
  names %in% names(which(tapply(trainings, names, function(x) length(unique(x))) > 1))
}

with_details <- function(names, details) ifelse(nzchar(details), paste(names, details, sep = ", "), names)

check_no_row_twice <- function(rows, counts, call) {
  key <- group_key(rows, c("run", "training", "seed", "attack"))
  again <- anyDuplicated(key)
  if (!again) {
    return(invisible())
  }
  first <- match(key[again], key)
  differ <- !is.null(counts[["evaluation"]]) && !identical(counts$evaluation[first], counts$evaluation[again])
  abort(
    c(
      "A data frame of counts must have one row for each network and attack.",
      x = "Rows {first} and {again} are both of {.val {rows$run[first]}} under {.val {rows$attack[first]}}.",
      i = if (differ) {
        "Networks were evaluated several times: choose the rows of one evaluation by the column {.field evaluation}."
      } else {
        "If they are different networks, give the column {.field run} or {.field seed}, or the options that they differ in."
      }
    ),
    call = call
  )
}
