# How print() and pictures of accuracies name networks and trainings.

# The columns of a table of accuracies that are not options of the training.
accuracy_columns <- c(
  "run", "method", "seed", "training", "model", "data", "attack", "k", "n", "estimate", "lower", "upper"
)

# "run-1: SENSE-AT (c = 0.7)", or the method alone where the run is named after it. A run that was named
# "NT, lr = 0.1, seed 1" keeps this name.
run_labels <- function(run, method) {
  short <- tolower(sub(" \\(.*", "", method))
  named <- tolower(run) == tolower(method) | tolower(run) == short |
    tolower(run) == sub("-at$", "", short)
  complete <- startsWith(as.character(run), paste0(method, ", "))
  ifelse(
    complete, as.character(run), ifelse(named, as.character(method), paste(run, method, sep = ": "))
  )
}

# A name for each training: the method, and of several trainings of a method the options that they differ
# by. Where the table has no such options, the first run of the training.
training_labels <- function(shown) {
  first <- first_of_trainings(shown)
  labels <- labels_by_options(first, c("model", "data", option_names(shown)))
  alike <- labels %in% labels[duplicated(labels)]
  labels[alike] <- run_labels(first$run, first$method)[alike]
  labels[match(shown$training, first$training)]
}

# The same for a printed table, which has columns for the seed and, if there are several, the model. Rows of
# different trainings with the same options have the names of their own runs.
printed_labels <- function(shown) {
  first <- first_of_trainings(shown)
  labels <- labels_by_options(first, c("data", option_names(shown)))
  keys <- paste(labels, first$model, sep = "\r")
  alike <- keys %in% keys[duplicated(keys)]
  of <- match(shown$training, first$training)
  ifelse(alike[of], run_labels(shown$run, shown$method), labels[of])
}

first_of_trainings <- function(shown) shown[match(unique(shown$training), shown$training), ]

option_names <- function(shown) setdiff(names(shown), accuracy_columns)

labels_by_options <- function(rows, columns) {
  options <- option_labels(rows$method, as.data.frame(rows)[columns])
  ifelse(nzchar(options), paste(rows$method, options, sep = ", "), as.character(rows$method))
}

# "lr = 0.1, epochs = 5": for each row the options that differ between the rows of its method. "": none.
option_labels <- function(method, options) {
  parts <- lapply(names(options), function(name) {
    text <- option_text(options[[name]])
    differs <- tapply(text, method, function(x) length(unique(x)) > 1)[as.character(method)]
    label <- if (name %in% c("model", "data")) text else paste(name, "=", text)
    ifelse(differs & !is.na(text), label, NA)
  })
  vapply(seq_along(method), function(i) {
    own <- vapply(parts, function(part) as.character(part[[i]]), "")
    toString(own[!is.na(own)])
  }, "")
}

# The values of an option as text, different ones differently; NA stays.
option_text <- function(values) {
  if (is.list(values)) values <- vapply(values, function(one) if (all(is.na(one))) NA_character_ else toString(one), "")
  text <- as.character(values)
  if (plain_numbers(values)) {
    short <- sprintf("%g", values)
    if (length(unique(short)) == length(unique(text))) text <- short
  }
  text[is.na(values)] <- NA
  text
}
