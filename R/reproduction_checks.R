# Checks of the files of a reproduced result, so that print(), summary() and the pictures get what they need,
# and a damaged file is named. python/sense/reproduce/ writes the same kinds of values.

check_reproduction_json <- function(described, path, call) {
  must <- function(good, what) if (!all(good)) damaged(path, what, call)
  text <- function(x) is.character(x) && length(x) == 1 && !is.na(x)
  texts <- function(list, names) is.list(list) && all(vapply(names, function(name) text(list[[name]]), TRUE))
  must(text(described$title) && text(described$place), "`title` and `place` must be strings")
  must(is.null(described$command) || text(described$command), "`command` must be a string")
  must(is.null(described$provenance) || is.list(described$provenance), "`provenance` must be an object")
  must(each(described$claims, function(claim) {
    texts(claim, c("text", "place", "verdict", "evidence")) && claim$verdict %in% verdicts
  }), "`claims` must be a list of claims with their evidence")
  must(each(described$shortened, function(one) {
    texts(one, "option") && each(one$paper, is_plain_value) && each(one$here, is_plain_value)
  }), "`shortened` must be a list of options with their values")
  must(each(described$missing, text), "`missing` must be a list of names")
  must(each(described$data, text), "`data` must have the checksum of each data set")
  seconds <- described$seconds
  must(
    is.null(seconds) || (is.list(seconds) && all(vapply(seconds[c("training", "attacks")], is_time, TRUE))),
    "`seconds` must have the numbers `training` and `attacks`"
  )
}

verdicts <- c("holds", "does not hold", "open")

# Whether `test` holds for each element of a list. None, such as of an absent entry, is a list too.
each <- function(list, test) (is.null(list) || is.list(list)) && all(vapply(list, test, TRUE))

is_plain_value <- function(x) is.atomic(x) && length(x) == 1

is_time <- function(x) is_number(x) && is.finite(x) && x >= 0

# A row for each network and attack.
check_reproduction_rows <- function(rows, path, call) {
  if (!nrow(rows)) damaged(path, "it has no rows", call)
  must <- function(columns, good, what) {
    bad <- Filter(function(name) !good(rows[[name]]), columns)
    if (length(bad)) damaged(path, sprintf("the column %s must have %s", bad[1], what), call)
  }
  must(c("cell", "method", "model", "attack", "attack_label"), function(x) !anyNA(x) && all(nzchar(x)), "a name in each row")
  must(c("lr", "seconds_training"), function(x) is.numeric(x) && all(is.finite(x)), "a number in each row")
  must(
    c("epochs", "batch_size", "train_size", "seed", "k", "n"), function(x) is.numeric(x) && all(is.finite(x) & x == round(x)),
    "a whole number in each row"
  )
  must(c("c", "stage_c"), function(x) {
    known <- x[!is.na(x)]
    !length(known) || (is.numeric(known) && all(known >= 0 & known <= 1))
  }, "shares from 0 to 1, or nothing")
  must("collapsed", function(x) is.logical(x) && !anyNA(x), "TRUE or FALSE in each row")
  must(c("epochs", "batch_size", "train_size", "n"), function(x) all(x >= 0 & x <= .Machine$integer.max), "numbers of an ordinary size")
  if (!all(rows$k >= 0 & rows$k <= rows$n & rows$n >= 1)) damaged(path, "k must be from 0 to n", call)
}

# The curves of figures 8 and 9: numbers, and all but the loss whole. Older results have no seed.
check_reproduction_curves <- function(table, columns, path, call) {
  columns <- c(columns, intersect("seed", names(table)))
  check_columns(table, columns, path, call)
  for (name in setdiff(columns, "loss")) {
    if (!all(is.finite(table[[name]]) & table[[name]] == round(table[[name]]))) {
      damaged(path, sprintf("the column %s must have a whole number in each row", name), call)
    }
  }
  if (!all(table$step >= 0 & table$step <= .Machine$integer.max)) {
    damaged(path, "steps must be counted from 0", call)
  }
}
