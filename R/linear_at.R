#' Adversarial training of a linear classifier
#'
#' Section 5.1 of the paper: trains a logistic model by gradient descent on natural points (`"nt"`),
#' on regular adversarial examples (`"r-at"`) or on sensible adversarial examples (`"sense"`). The
#' start is the logistic regression of the data. For a linear model the adversary with one step is
#' exact: it moves a point by `eps` perpendicular to the boundary.
#'
#' Settings (`linear_at_settings()` returns their numbers):
#'
#' * `"paper"`: learning rate 0.01, 300 iterations, mean gradient (Algorithm 2, line 9), new
#'   adversarial examples in each iteration.
#' * `"script"`: the authors' R script: learning rate 0.001, 901 iterations, summed gradient, the first
#'   update on the natural points, then new adversarial examples every 20 iterations.
#' * `"large-step"`: as `"paper"`, with learning rate 1. This setting shows the paper's claim;
#'   with `"paper"` the boundary hardly moves, see the vignette `three-clusters`.
#'
#' The clusters are nearly separable. If the data are separable, logistic regression has no finite
#' optimum; `glm.fit()` then stops at its tolerance with a steep slope. Its warnings are suppressed.
#'
#' @param data A data frame with `x1`, `x2` and labels `y` in -1 and 1, such as
#'   [three_clusters()].
#' @param method `"sense"`, `"r-at"` or `"nt"`.
#' @param c Lowest probability of the label for `"sense"`, in \[0, 1\].
#' @param eps Radius of the ball, at least 0, in the units of the data.
#' @param K Number of steps of size `eps / K`. Only `boundary = "revert"` depends on it.
#' @param setting `"paper"`, `"script"` or `"large-step"`.
#' @param learning_rate,iterations,gradient,renew_every Values to use in place of those of the
#'   setting. `gradient` is `"mean"` or `"sum"`; new adversarial examples are made every `renew_every`
#'   iterations.
#' @param boundary Rule for points that reach p_y = c: see [sensible_examples()].
#' @param norm 2 or `Inf`.
#' @param start Three starting coefficients, the intercept first. Default: the logistic regression.
#' @return An object of classes `linear_at` and `linear_classifier`: weights `w` and
#'   intercept `b`, the `path` of coefficients (a matrix with the start in row 1, then a row per
#'   iteration), and the options. It is plain data.
#' @source Kim and Wang, section 5.1 and Algorithm 2.
#' @examples
#' data <- three_clusters(500, seed = 1)
#' fit <- fit_linear_at(data, "sense", iterations = 20)
#' fit
#' glance.linear_at(fit)
#' @family functions of the Three Clusters
#' @export
fit_linear_at <- function(data, method = c("sense", "r-at", "nt"), c = 0.9, eps = 1.6, K = 1,
                          setting = c("paper", "script", "large-step"),
                          learning_rate = NULL, iterations = NULL, gradient = NULL,
                          renew_every = NULL, boundary = c("project", "revert"),
                          norm = 2, start = NULL) {
  method <- check_choice(method, c("sense", "r-at", "nt"))
  c <- check_number(c, min = 0, max = 1)
  eps <- check_number(eps, min = 0)
  K <- check_count(K)
  boundary <- check_choice(boundary, c("project", "revert"))
  norm <- check_norm(norm)
  setting <- check_choice(setting, names(linear_at_settings()))
  options <- training_options(setting, learning_rate, iterations, gradient, renew_every)
  x <- as_points(data, "data")
  y <- as_labels(if (is.data.frame(data)) data[["y"]], nrow(x), "data$y")
  start <- if (is.null(start)) logistic_start(x, y) else check_start(start)
  adversary <- choose_adversary(method, c, eps, K, boundary, norm)
  path <- descend(x, y, start, adversary, options)
  last <- path[nrow(path), ]
  structure(list(w = unname(last[2:3]), b = unname(last[1]), path = path, method = method,
                 c = if (method == "sense") c else NA_real_, eps = if (method == "nt") 0 else eps,
                 K = K, boundary = if (method == "sense") boundary else NA_character_,
                 norm = norm, setting = setting, options = options, n = nrow(x),
                 law = attr(data, "law"), seed = attr(data, "seed")),
            class = c("linear_at", "linear_classifier"))
}

#' @rdname fit_linear_at
#' @export
linear_at_settings <- function() {
  list(paper = list(learning_rate = 0.01, iterations = 300L, gradient = "mean",
                    renew_every = 1L, natural_first = FALSE),
       script = list(learning_rate = 0.001, iterations = 901L, gradient = "sum",
                     renew_every = 20L, natural_first = TRUE),
       `large-step` = list(learning_rate = 1, iterations = 300L, gradient = "mean",
                           renew_every = 1L, natural_first = FALSE))
}

training_options <- function(setting, learning_rate, iterations, gradient, renew_every,
                             call = parent.frame()) {
  options <- linear_at_settings()[[setting]]
  if (!is.null(learning_rate)) {
    options$learning_rate <- check_number(learning_rate, above = 0,
                                           call = call)
  }
  if (!is.null(iterations)) options$iterations <- check_count(iterations, call = call)
  if (!is.null(gradient)) {
    options$gradient <- check_choice(gradient, c("mean", "sum"), call = call)
  }
  if (!is.null(renew_every)) {
    options$renew_every <- check_count(renew_every, call = call)
  }
  options
}

check_start <- function(start, call = parent.frame()) {
  if (!plain_numbers(start) || length(start) != 3 || !all(is.finite(start))) {
    refuse(start, "start", "three finite numbers: the intercept and two weights", call = call)
  }
  in_order(start, c("(Intercept)", "x1", "x2"))
}

# glm.fit() warns about separable data, but the start is well defined.
logistic_start <- function(x, y, call = parent.frame()) {
  if (length(unique(y)) < 2) {
    abort(c("{.arg data} must hold both labels, -1 and 1.",
            "x" = "All {length(y)} label{?s} are {y[1]}.", "i" = "Draw more points."), call = call)
  }
  fit <- withCallingHandlers(
    stats::glm.fit(cbind(1, x), (y + 1) / 2, family = stats::binomial()),
    warning = function(w) {
      if (grepl("fitted probabilities|did not converge", conditionMessage(w))) {
        invokeRestart("muffleWarning")
      }
    })
  check_start(unname(fit$coefficients), call = call)
}

# A function of the margins and of the slope of the margin along the adversary's direction, which
# returns by how much the adversary lowers each margin: one number if it is the same for all points.
choose_adversary <- function(method, c, eps, K, boundary, norm) {
  limit <- stats::qlogis(c)
  lower <- switch(method,
    nt = function(margin, slope) 0,
    `r-at` = function(margin, slope) eps * slope,
    sense = function(margin, slope) {
      sensible_drop(margin, slope, eps, limit, max(0, limit), eps / K, boundary)
    })
  list(lower = lower, norm = norm)
}

# Gradient descent on the cross-entropy of the moved points. All points move along one direction u:
# y x becomes y x - distance u, and the margin decreases by distance times u.w. So the moved points
# are not computed, and an iteration takes three passes over the data and one exp(). `drop` is the
# distance times the slope at the time of the move.
descend <- function(x, y, start, adversary, options) {
  signed <- cbind(y, y * x[, 1], y * x[, 2])
  step <- options$learning_rate / (if (options$gradient == "mean") length(y) else 1)
  path <- matrix(0, options$iterations + 1, 3,
                 dimnames = list(NULL, c("(Intercept)", "x1", "x2")))
  path[1, ] <- v <- start
  drop <- 0
  u <- c(0, 0)
  for (i in seq_len(options$iterations)) {
    margin <- signed %*% v
    # The script makes new examples after its updates 0, 20, 40, ...: one update later than i.
    if (i > options$natural_first && (i - 1 - options$natural_first) %% options$renew_every == 0) {
      slope <- dual_norm(v[2:3], adversary$norm)
      drop <- adversary$lower(margin, slope)
      u <- if (slope > 0) steepest_direction(v[2:3], adversary$norm) / slope else c(0, 0)
    }
    # Minus the derivative of the loss with respect to the margin.
    pull <- 1 / (1 + exp(margin - drop * sum(u * v[2:3])))
    lost <- if (length(drop) == 1) drop * sum(pull) else sum(crossprod(drop, pull))
    v <- v + step * (as.vector(crossprod(signed, pull)) - c(0, u * lost))
    if (!all(is.finite(v))) {
      abort(c("The training diverged: the coefficients are not finite.",
              "x" = "It happened at iteration {i} of {options$iterations}.",
              "i" = "Lower {.arg learning_rate} (now {options$learning_rate})."),
            call = parent.frame())
    }
    path[i + 1, ] <- v
  }
  path
}
