#' How often adversarial training alternates or settles
#'
#' Simulates data for each seed and fits each row of a grid to them. The result says how the
#' boundary moved ([boundary_motion()]) and has the closed-form risks at the end, standard
#' and robust. The robust risk is at `gamma * sigma` for every method, so that methods can be
#' compared. All rows of the grid with the same `p` use the same data for the same seed.
#'
#' @param grid A data frame with columns `method`, `setting`, `p`, `gamma`, `c`, and
#'   optionally `boundary`, `learning_rate` and `gradient`, where `NA` means the value of the
#'   setting; see [fit_linear_at()].
#' @param seeds Whole numbers, one simulation per seed.
#' @param n,m,sigma As in [three_clusters()].
#' @param window As in [boundary_motion()].
#' @return `study_linear_at()`: a data frame with a row per seed and grid row: the columns of
#'   the grid, `seed`, the columns of [boundary_motion()], `standard_risk`, `robust_risk` and
#'   `slope`, the length of the weights at the end.
#' @examples
#' grid <- data.frame(method = c("r-at", "sense"), setting = "large-step", p = 0.55,
#'                    gamma = 8, c = 0.9)
#' runs <- study_linear_at(grid, seeds = 1:3, n = 500)
#' summarise_study(runs)
#' @family functions of the Three Clusters
#' @export
study_linear_at <- function(grid, seeds = 1:100, n = 5000, m = 7, sigma = 0.2, window = 100) {
  needed <- c("method", "setting", "p", "gamma", "c")
  if (!is.data.frame(grid) || !all(needed %in% names(grid))) {
    refuse(grid, "grid", cli::format_inline("a data frame with columns {.val {needed}}"))
  }
  if (!nrow(grid)) abort("{.arg grid} must have at least one row.")
  grid <- complete_grid(check_grid(grid))
  seeds <- check_numbers(seeds, min = 0, max = .Machine$integer.max, whole = TRUE)
  n <- check_count(n)
  law <- check_law(0.5, m, sigma)
  window <- check_count(window)
  runs <- list()
  for (seed in seeds) {
    for (p in unique(grid$p)) {
      data <- three_clusters(n, p, m, sigma, seed)
      start <- logistic_start(as_points(data), data$y)
      rows <- which(grid$p == p)
      runs <- c(runs, lapply(rows, function(k) study_row(data, grid[k, ], start, seed, window)))
    }
  }
  runs <- do.call(rbind, runs)
  row.names(runs) <- NULL
  runs
}

# Factors become strings. Numbers must be numbers.
check_grid <- function(grid, call = parent.frame()) {
  words <- intersect(c("method", "setting", "boundary", "gradient"), names(grid))
  grid[words] <- lapply(grid[words], function(column) if (is.factor(column)) as.character(column) else column)
  numbers <- intersect(c("p", "gamma", "c", "learning_rate"), names(grid))
  good <- c(vapply(grid[words], is.character, TRUE) | vapply(grid[words], function(column) all(is.na(column)), TRUE),
            vapply(grid[numbers], function(column) plain_numbers(column) || all(is.na(column)), TRUE))
  if (!all(good)) {
    bad <- c(words, numbers)[!good][1]
    abort(c("{.arg grid} must have {if (bad %in% words) 'strings' else 'numbers'} in its column {.field {bad}}.",
            "x" = "It has {describe(grid[[bad]])}."), call = call)
  }
  for (i in seq_len(nrow(grid))) {
    check_choice(grid$method[i], c("sense", "r-at", "nt"), arg = "grid$method", call = call)
    check_choice(grid$setting[i], names(linear_at_settings()), arg = "grid$setting", call = call)
    check_number(grid$p[i], above = 0, below = 1, arg = "grid$p", call = call)
    check_number(grid$gamma[i], min = 0, arg = "grid$gamma", call = call)
    if (grid$method[i] == "sense" || !is.na(grid$c[i])) {
      check_number(grid$c[i], min = 0, max = 1, arg = "grid$c", call = call)
    }
  }
  grid
}

complete_grid <- function(grid) {
  if (is.null(grid$boundary)) grid$boundary <- "project"
  for (option in c("learning_rate", "gradient")) {
    own <- vapply(grid$setting, function(s) linear_at_settings()[[s]][[option]],
                  linear_at_settings()$paper[[option]])
    given <- grid[[option]]
    grid[[option]] <- unname(if (is.null(given)) own else ifelse(is.na(given), own, given))
  }
  grid[study_keys()]
}

study_keys <- function() {
  c("method", "setting", "learning_rate", "gradient", "boundary", "p", "gamma", "c")
}

study_row <- function(data, row, start, seed, window) {
  law <- attr(data, "law")
  eps <- row$gamma * law$sigma
  c <- if (is.na(row$c)) 1 else row$c # only SENSE-AT uses it
  fit <- fit_linear_at(data, row$method, c = c, eps = eps, setting = row$setting,
                       learning_rate = row$learning_rate, gradient = row$gradient,
                       boundary = row$boundary, start = start)
  cbind(row, seed = seed,
        boundary_motion(fit, window),
        standard_risk = linear_risk_value(fit, law, 0, 2),
        robust_risk = linear_risk_value(fit, law, eps, 2),
        slope = sqrt(sum(fit$w^2)))
}

#' @rdname study_linear_at
#' @param runs The result of `study_linear_at()`.
#' @param level Confidence level of the intervals: Wilson intervals for proportions; for mean
#'   risks, normal intervals with the standard deviation over seeds.
#' @return `summarise_study()`: a data frame with a row per grid row: the number of `seeds`; the
#'   proportions `alternates` and `settles` and the means `standard_risk` and `robust_risk`, each
#'   with `_lower` and `_upper`; the median `turn`; the most frequent pair `between` with its share
#'   of the runs with changes (`between_share`); and the most frequent `type` at the end with its
#'   share.
#' @export
summarise_study <- function(runs, level = 0.95) {
  needed <- c(study_keys(), "alternates", "settles", "standard_risk", "robust_risk", "turn", "between", "type")
  if (!is.data.frame(runs) || !all(needed %in% names(runs)) || !nrow(runs)) {
    refuse(runs, "runs", "the result of `study_linear_at()`")
  }
  check_level(level)
  keys <- study_keys()
  groups <- split(runs, factor(do.call(paste, runs[keys]), unique(do.call(paste, runs[keys]))))
  out <- do.call(rbind, lapply(groups, function(g) {
    cbind(g[1, keys], seeds = nrow(g),
          named_interval("alternates", interval_of(sum(g$alternates), nrow(g), level)),
          named_interval("settles", interval_of(sum(g$settles), nrow(g), level)),
          named_interval("standard_risk", mean_interval(g$standard_risk, level)),
          named_interval("robust_risk", mean_interval(g$robust_risk, level)),
          turn = stats::median(g$turn), leading(g$between, "between"), leading(g$type, "type"))
  }))
  row.names(out) <- NULL
  out
}

named_interval <- function(name, interval) {
  stats::setNames(interval, c(name, paste0(name, "_lower"), paste0(name, "_upper")))
}

# Risks are in [0, 1], so the interval is truncated to that.
mean_interval <- function(x, level) {
  half <- stats::qnorm((1 + level) / 2) * stats::sd(x) / sqrt(length(x))
  data.frame(estimate = mean(x), lower = max(0, mean(x) - half), upper = min(1, mean(x) + half))
}

leading <- function(x, name) {
  x <- x[!is.na(x)]
  counts <- sort(-table(x))
  out <- if (length(x)) data.frame(names(counts)[1], -counts[[1]] / length(x)) else {
    data.frame(NA_character_, NA_real_)
  }
  stats::setNames(out, c(name, paste0(name, "_share")))
}

#' The stored study of adversarial training on the Three Clusters
#'
#' The result of `study_linear_at()` over 100 seeds, summarised by `summarise_study()`, with its
#' provenance. The script `inst/studies/three_clusters.R` computed it.
#'
#' @return A data frame as from `summarise_study()`, with the attribute `provenance`:
#'   a list with the command, commit, seeds, n, seconds and R version.
#' @examples
#' study <- stored_study()
#' attr(study, "provenance")$command
#' @family functions of the Three Clusters
#' @export
stored_study <- function() {
  file <- function(name) system.file("extdata", name, package = "sense", mustWork = TRUE)
  study <- utils::read.csv(file("three_clusters_study.csv"))
  attr(study, "provenance") <- jsonlite::read_json(file("three_clusters_study.json"),
                                                   simplifyVector = TRUE)
  study
}
