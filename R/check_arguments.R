# Argument checks of the pure-R half. Each says what was expected, what came and
# what to do, and blames the function that the user called.

# Numbers as R has them. What has a class of its own (a factor, a date, a difference of times, a
# 64-bit integer) holds numbers that mean something else.
plain_numbers <- function(x) is.numeric(x) && !is.object(x)

is_number <- function(x) plain_numbers(x) && is.null(dim(x)) && length(x) == 1 && !is.na(x)

is_string <- function(x) {
  is.character(x) && !is.object(x) && length(x) == 1 && !is.na(x) && nzchar(x) && validEnc(x)
}

# A vector, from a matrix of one column or one row too.
as_vector <- function(x) if (is.matrix(x) && 1 %in% dim(x)) as.vector(x) else x

assert_number <- function(x, name, lower = -Inf, upper = Inf, open_lower = FALSE,
                          open_upper = FALSE, call = parent.frame()) {
  if (!is_number(x) || !in_range(x, lower, upper, open_lower, open_upper)) {
    cli::cli_abort(c(
      "{.arg {name}} must be one number in {range_words(lower, upper, open_lower, open_upper)}.",
      "x" = "You gave {describe(x)}."
    ), call = call)
  }
  as.numeric(x)
}

# One number or more.
assert_numbers <- function(x, name, lower = -Inf, upper = Inf, open_lower = TRUE,
                           open_upper = TRUE, least = 1, call = parent.frame()) {
  x <- as_vector(x)
  if (!plain_numbers(x) || !is.null(dim(x)) || length(x) < least || anyNA(x) ||
        !all(in_range(x, lower, upper, open_lower, open_upper))) {
    cli::cli_abort(c(
      "{.arg {name}} must hold {if (least > 1) paste(least, 'or more ')}numbers in {range_words(lower, upper, open_lower, open_upper)}.",
      "x" = "You gave {describe(x)}."
    ), call = call)
  }
  as.numeric(x)
}

in_range <- function(x, lower, upper, open_lower, open_upper) {
  (if (open_lower) x > lower else x >= lower) & (if (open_upper) x < upper else x <= upper)
}

range_words <- function(lower, upper, open_lower, open_upper) {
  paste0(if (open_lower) "(" else "[", lower, ", ", upper, if (open_upper) ")" else "]")
}

# R's integers end at 2^31 - 1, and so do its seeds.
assert_count <- function(x, name, lower = 1, call = parent.frame()) {
  if (!is_number(x) || !are_counts(x, lower)) {
    cli::cli_abort(c(
      "{.arg {name}} must be one whole number, {lower} or more, and at most {(.Machine$integer.max)}.",
      "x" = "You gave {describe(x)}."
    ), call = call)
  }
  as.integer(x)
}

assert_counts <- function(x, name, lower = 1, call = parent.frame()) {
  x <- as_vector(x)
  if (!plain_numbers(x) || !is.null(dim(x)) || !length(x) || anyNA(x) || !all(are_counts(x, lower))) {
    cli::cli_abort(c(
      "{.arg {name}} must hold whole numbers, {lower} or more, and at most {(.Machine$integer.max)}.",
      "x" = "You gave {describe(x)}."
    ), call = call)
  }
  as.integer(x)
}

are_counts <- function(x, lower) is.finite(x) & x == round(x) & x >= lower & x <= .Machine$integer.max

assert_seed <- function(seed, call = parent.frame()) {
  if (is.null(seed)) NULL else assert_count(seed, "seed", lower = 0, call = call)
}

check_flag <- function(x, arg, call = parent.frame()) {
  if (!isTRUE(x) && !isFALSE(x)) {
    cli::cli_abort(c("{.arg {arg}} must be TRUE or FALSE.", "x" = "You gave {describe(x)}."), call = call)
  }
  isTRUE(x)
}

# NULL, or a string.
check_name <- function(x, arg, call = parent.frame()) {
  if (!is.null(x) && !is_string(x)) {
    cli::cli_abort(
      c("{.arg {arg}} must be a single string.", "x" = "You gave {describe(x)}."), call = call
    )
  }
  as.vector(x)
}

assert_choice <- function(x, name, choices, call = parent.frame()) {
  if (identical(x, choices)) return(choices[1])
  if (!is_string(x) || !x %in% choices) {
    cli::cli_abort(c("{.arg {name}} must be one of {.val {choices}}.",
                     "x" = "You gave {describe(x)}."), call = call)
  }
  as.vector(x)
}

assert_norm <- function(norm, call = parent.frame()) {
  if (!is_number(norm) || !norm %in% c(2, Inf)) {
    cli::cli_abort(c("{.arg norm} must be 2 or Inf.",
                     "x" = "You gave {describe(norm)}.",
                     "i" = "2 is the Euclidean norm, Inf the largest coordinate."), call = call)
  }
  as.numeric(norm)
}

assert_law <- function(p, m, sigma, call = parent.frame()) {
  list(
    p = assert_number(p, "p", 0, 1, TRUE, TRUE, call = call),
    m = assert_number(m, "m", 0, Inf, TRUE, TRUE, call = call),
    sigma = assert_number(sigma, "sigma", 0, Inf, TRUE, TRUE, call = call)
  )
}

# Points in the plane, as an n x 2 matrix. Where columns have the names x1 and x2, these say which
# is which, in any order and among others.
as_points <- function(x, name = "x", call = parent.frame()) {
  given <- x
  if (plain_numbers(x) && is.null(dim(x)) && length(x) == 2) x <- t(x)
  if (is.data.frame(x)) {
    x <- if (all(c("x1", "x2") %in% names(x)) && all(vapply(x[c("x1", "x2")], plain_numbers, TRUE))) {
      cbind(x1 = as.numeric(x[["x1"]]), x2 = as.numeric(x[["x2"]]))
    }
  } else if (is.matrix(x) && any(c("x1", "x2") %in% colnames(x))) {
    x <- if (all(c("x1", "x2") %in% colnames(x))) x[, c("x1", "x2"), drop = FALSE]
  }
  if (!is.matrix(x) || !plain_numbers(x) || ncol(x) != 2 || nrow(x) == 0) {
    cli::cli_abort(c("{.arg {name}} must hold points in the plane, one or more.",
                     "x" = "You gave {describe(given)}.",
                     "i" = "Give an n x 2 matrix, or a data frame with numeric columns x1 and x2."),
                   call = call)
  }
  if (!all(is.finite(x))) {
    bad <- which(!is.finite(rowSums(x)))[1]
    cli::cli_abort(c("{.arg {name}} must hold finite coordinates.",
                     "x" = "Row {bad} has {.val {unname(x[bad, ])}}.",
                     "i" = "Remove or repair that row."), call = call)
  }
  storage.mode(x) <- "double"
  unname(x)
}

# The labels themselves, also those of a factor, whose codes mean nothing.
as_labels <- function(y, n, name = "y", call = parent.frame()) {
  labels <- as_vector(if (is.factor(y)) as.character(y) else y)
  known <- (is.character(labels) || plain_numbers(labels)) && is.null(dim(labels))
  if (known && is.character(labels)) labels <- suppressWarnings(as.numeric(labels))
  if (!known || length(labels) != n || !all(labels %in% c(-1, 1))) {
    cli::cli_abort(c("{.arg {name}} must hold {n} label{?s}, each -1 or +1.",
                     "x" = "You gave {describe(y)}.",
                     "i" = "Recode 0/1 labels with {.code 2 * y - 1}."), call = call)
  }
  as.numeric(labels)
}

# Numbers whose names, where they are those expected, say which is which.
in_order <- function(x, expected) {
  if (!is.null(names(x)) && setequal(names(x), expected)) x <- x[expected]
  as.numeric(x)
}

assert_classifier <- function(classifier, call = parent.frame()) {
  if (!is.function(classifier) && !inherits(classifier, c("linear_classifier", "bayes_rule"))) {
    cli::cli_abort(c("{.arg classifier} must be a linear classifier, a Bayes rule or a function.",
                     "x" = "You gave {describe(classifier)}."), call = call)
  }
  classifier
}

assert_fit <- function(fit, name, call = parent.frame()) {
  if (!inherits(fit, "linear_at")) {
    cli::cli_abort(c("{.arg {name}} must be a fit of {.fn fit_linear_at}.",
                     "x" = "You gave {describe(fit)}."), call = call)
  }
  fit
}

describe <- function(x) {
  if (is.null(x)) return("NULL")
  if (is.data.frame(x)) {
    return(paste0("a data frame with columns ", paste(names(x), collapse = ", ")))
  }
  if (is.matrix(x)) {
    return(paste0("a ", nrow(x), " x ", ncol(x), " ", typeof(x), " matrix"))
  }
  if (is.function(x)) return("a function")
  if (!is.atomic(x) || is.array(x) || !length(x)) return(paste0(if (length(x)) "an object of class " else "nothing, of class ", class(x)[1]))
  shown <- utils::head(x, 3)
  shown <- if (is.character(x)) dQuote(shown, FALSE) else format(shown, trim = TRUE)
  more <- if (length(x) > 3) paste0(", ... (", length(x), " values)") else ""
  paste0(class(x)[1], " ", paste(shown, collapse = ", "), more)
}

# Runs `code` from a seed, with fixed generators, and leaves the session's own
# random stream as it was. Without a seed the session's stream is used.
with_seed <- function(seed, code) {
  if (is.null(seed)) return(code)
  global <- globalenv()
  old <- if (exists(".Random.seed", global, inherits = FALSE)) get(".Random.seed", global)
  on.exit(if (is.null(old)) rm(".Random.seed", envir = global)
          else assign(".Random.seed", old, envir = global))
  set.seed(seed, kind = "Mersenne-Twister", normal.kind = "Inversion",
           sample.kind = "Rejection")
  code
}
