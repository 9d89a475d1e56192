# Checks of arguments. Each returns the argument in plain form, or stops in the name of the function
# that the user called, and says what was expected and what was received. The functions of checkmate
# take dates, differences of times and 64-bit integers for numbers, know no open intervals, and do
# not show what they received.

refuse <- function(x, arg, expected, hint = NULL, call = parent.frame()) {
  abort(
    c("{.arg {arg}} must be {expected}.", x = "You gave {describe(x)}.", i = hint), call = call
  )
}

# Numbers without a class: a factor, a date, a difference of times and a 64-bit integer hold numbers
# that mean something else.
plain_numbers <- function(x) is.numeric(x) && !is.object(x)

is_number <- function(x) plain_numbers(x) && is.null(dim(x)) && length(x) == 1 && !is.na(x)

is_string <- function(x) {
  is.character(x) && !is.object(x) && length(x) == 1 && !is.na(x) && nzchar(x) && validEnc(x)
}

# Each element has a name. nzchar(NA) is TRUE.
all_named <- function(x) !is.null(names(x)) && !anyNA(names(x)) && all(nzchar(names(x)))

# A matrix of one row or one column as a vector.
as_vector <- function(x) if (is.matrix(x) && 1 %in% dim(x)) as.vector(x) else x

# Finite numbers, `least` or more of them.
check_numbers <- function(x, min = -Inf, max = Inf, above = -Inf, below = Inf, whole = FALSE,
                          least = 1, arg = caller_arg(x), call = parent.frame()) {
  values <- as_vector(x)
  if (!in_range(values, min, max, above, below, whole) || length(values) < least) {
    number <- if (least > 1) paste(least, "or more numbers") else "one or more numbers"
    refuse(x, arg, range_words(number, min, max, above, below, whole), call = call)
  }
  if (whole) as.integer(values) else as.numeric(values)
}

check_number <- function(x, min = -Inf, max = Inf, above = -Inf, below = Inf,
                         arg = caller_arg(x), call = parent.frame()) {
  if (length(x) != 1 || !in_range(x, min, max, above, below)) {
    refuse(x, arg, range_words("one number", min, max, above, below), call = call)
  }
  as.numeric(x)
}

# A whole number, as R's integer where it is one; a larger one stays a double, which Python reads too.
check_count <- function(x, min = 1, max = .Machine$integer.max, allow_null = FALSE,
                        arg = caller_arg(x), call = parent.frame()) {
  if (is.null(x) && allow_null) {
    return(NULL)
  }
  if (length(x) != 1 || !in_range(x, min, max, whole = TRUE)) {
    refuse(x, arg, range_words("one number", min, max, whole = TRUE), call = call)
  }
  if (x > .Machine$integer.max) as.numeric(x) else as.integer(x)
}

in_range <- function(x, min, max, above = -Inf, below = Inf, whole = FALSE) {
  plain_numbers(x) && is.null(dim(x)) && all(is.finite(x)) && all(x >= min, x <= max) &&
    all(x > above, x < below) && (!whole || all(x == round(x)))
}

# "one whole number, at least 1 and at most 10"
range_words <- function(number, min, max, above = -Inf, below = Inf, whole = FALSE) {
  ends <- c("at least" = min, "greater than" = above, "at most" = max, "less than" = below)
  ends <- ends[is.finite(ends)]
  kind <- if (whole) "whole number" else if (length(ends)) "number" else "finite number"
  ends <- paste(names(ends), format(ends, scientific = FALSE, trim = TRUE, drop0trailing = TRUE))
  paste(c(sub("number", kind, number), if (length(ends)) paste(ends, collapse = " and ")), collapse = ", ")
}

check_flag <- function(x, arg = caller_arg(x), call = parent.frame()) {
  if (!isTRUE(x) && !isFALSE(x)) refuse(x, arg, "TRUE or FALSE", call = call)
  isTRUE(x)
}

check_string <- function(x, allow_null = FALSE, expected = "a single string", arg = caller_arg(x),
                         call = parent.frame()) {
  if (!(is.null(x) && allow_null) && !is_string(x)) refuse(x, arg, expected, call = call)
  as.vector(x)
}

# NULL, or a path.
check_path <- function(x, arg = caller_arg(x), call = parent.frame()) {
  check_string(x, TRUE, "the path of a folder or a file, a single string", arg, call)
}

check_choice <- function(x, choices, arg = caller_arg(x), call = parent.frame()) {
  if (identical(x, choices)) return(choices[1])
  if (!is_string(x) || !x %in% choices) {
    refuse(x, arg, cli::format_inline("one of {.val {choices}}"), call = call)
  }
  as.vector(x)
}

check_class <- function(x, class, made_by, arg = caller_arg(x), call = parent.frame()) {
  if (!inherits(x, class)) {
    refuse(x, arg, cli::format_inline("a {.cls {class[1]}}"),
           cli::format_inline("{.fn {made_by}} makes one."), call = call)
  }
  x
}

check_norm <- function(norm, call = parent.frame()) {
  if (!is_number(norm) || !norm %in% c(2, Inf)) {
    refuse(norm, "norm", "2 or Inf", "2 is the Euclidean norm, Inf the largest coordinate.", call)
  }
  as.numeric(norm)
}

check_level <- function(level, call = parent.frame()) {
  check_number(level, above = 0, below = 1, call = call)
}

check_law <- function(p, m, sigma, call = parent.frame()) {
  list(
    p = check_number(p, above = 0, below = 1, call = call),
    m = check_number(m, above = 0, call = call),
    sigma = check_number(sigma, above = 0, call = call)
  )
}

# Points in the plane, as an n x 2 matrix. Columns named x1 and x2 may be in any order and among
# others.
as_points <- function(x, arg = "x", call = parent.frame()) {
  points <- x
  if (plain_numbers(x) && is.null(dim(x)) && length(x) == 2) points <- t(x)
  if (is.data.frame(x)) {
    points <- if (all(c("x1", "x2") %in% names(x)) && all(vapply(x[c("x1", "x2")], plain_numbers, TRUE))) {
      cbind(x1 = as.numeric(x[["x1"]]), x2 = as.numeric(x[["x2"]]))
    }
  } else if (is.matrix(x) && any(c("x1", "x2") %in% colnames(x))) {
    points <- if (all(c("x1", "x2") %in% colnames(x))) x[, c("x1", "x2"), drop = FALSE]
  }
  if (!is.matrix(points) || !plain_numbers(points) || ncol(points) != 2 || nrow(points) == 0) {
    refuse(x, arg, "one or more points in the plane",
           "Give an n x 2 matrix, or a data frame with numeric columns x1 and x2.", call)
  }
  if (!all(is.finite(points))) {
    bad <- which(!is.finite(rowSums(points)))[1]
    abort(c("{.arg {arg}} must hold finite coordinates.",
            "x" = "Row {bad} has {.val {unname(points[bad, ])}}.",
            "i" = "Remove or repair that row."), call = call)
  }
  storage.mode(points) <- "double"
  unname(points)
}

# Labels by their values: the codes of a factor mean nothing.
as_labels <- function(y, n, arg = "y", call = parent.frame()) {
  labels <- as_vector(if (is.factor(y)) as.character(y) else y)
  known <- (is.character(labels) || plain_numbers(labels)) && is.null(dim(labels))
  if (known && is.character(labels)) labels <- suppressWarnings(as.numeric(labels))
  if (!known || length(labels) != n || !all(labels %in% c(-1, 1))) {
    refuse(y, arg, cli::format_inline("{n} label{?s}, each -1 or +1"),
           "Recode 0/1 labels with `2 * y - 1`.", call)
  }
  as.numeric(labels)
}

# Numbers in the order of `expected`, where they have these names.
in_order <- function(x, expected) {
  if (!is.null(names(x)) && setequal(names(x), expected)) x <- x[expected]
  as.numeric(x)
}

check_classifier <- function(classifier, call = parent.frame()) {
  if (!is.function(classifier) && !inherits(classifier, c("linear_classifier", "bayes_rule"))) {
    refuse(classifier, "classifier", "a linear classifier, a Bayes rule or a function", call = call)
  }
  classifier
}

describe <- function(x) {
  if (is.null(x)) return("NULL")
  if (is.data.frame(x)) {
    if (!length(x)) return("a data frame without columns")
    return(paste0("a data frame with columns ", paste(names(x), collapse = ", ")))
  }
  if (is.matrix(x)) {
    return(paste0("a ", nrow(x), " x ", ncol(x), " ", typeof(x), " matrix"))
  }
  if (is.function(x)) return("a function")
  if (!length(x)) return(paste("an empty object of class", class(x)[1]))
  if (!is.atomic(x) || is.array(x)) return(paste("an object of class", class(x)[1]))
  shown <- utils::head(x, 3)
  shown <- if (is.character(x)) dQuote(shown, FALSE) else format(shown, trim = TRUE)
  more <- if (length(x) > 3) paste0(", ... (", length(x), " values)") else ""
  paste0(class(x)[1], " ", paste(shown, collapse = ", "), more)
}

# Evaluate `code` from a seed with fixed generators, and restore the session's random stream.
# Without a seed the session's stream is used.
with_seed <- function(seed, code) {
  if (is.null(seed)) {
    return(code)
  }
  withr::with_seed(
    seed, code, .rng_kind = "Mersenne-Twister", .rng_normal_kind = "Inversion",
    .rng_sample_kind = "Rejection"
  )
}
