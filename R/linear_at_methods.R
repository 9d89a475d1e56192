#' @export
print.linear_at <- function(x, ...) {
  cat(sprintf("%s of a linear classifier, %d points, setting \"%s\" (%d iterations)\n",
              method_label(x$method), x$n, x$setting, x$options$iterations))
  if (x$method != "nt") cat(sprintf("eps = %g%s, norm %g\n", x$eps,
                                    if (x$method == "sense") sprintf(", c = %g", x$c) else "", x$norm))
  cat(sprintf("boundary: %.4g x1 %+.4g x2 %+.4g = 0, %s\n", x$w[1], x$w[2], x$b,
              boundary_type(x, height_of(x))))
  invisible(x)
}

method_label <- function(method) c(sense = "SENSE-AT", `r-at` = "R-AT", nt = "NT")[[method]]

#' Methods for adversarially trained linear classifiers
#'
#' `summary()` shows the fit, how its boundary moved and, for data of [three_clusters()], its risks in
#' closed form. `tidy()` has a row per coefficient, `glance()` one row per fit. The generics `tidy()`
#' and `glance()` are those of package 'generics', which broom and the tidymodels re-export. Without
#' it, call the methods by their full names.
#'
#' @param object,x A fit of [fit_linear_at()].
#' @param window Number of last iterations, see [boundary_motion()].
#' @param ... Not used.
#' @return `summary()`: a list of class `summary.linear_at` with `fit`, `motion` (see
#'   [boundary_motion()]) and `risks` (or `NULL`). `tidy.linear_at()`: a data frame with
#'   `term`, `estimate` and `start`. `glance.linear_at()`: a data frame with `method`,
#'   `setting`, `c`, `eps`, `n`, `iterations`, the columns of [boundary_motion()], and
#'   `standard_risk` and `robust_risk` in closed form (`NA` without a known law). Natural training
#'   has radius 0, so its robust risk is its standard risk.
#' @examples
#' fit <- fit_linear_at(three_clusters(500, seed = 1), "sense", iterations = 20)
#' summary(fit)
#' tidy.linear_at(fit)
#' @family functions of the Three Clusters
#' @export
summary.linear_at <- function(object, window = 100, ...) {
  row <- glance.linear_at(object, window = window)
  risks <- if (!is.null(object$law)) unlist(row[c("standard_risk", "robust_risk")])
  structure(list(fit = object, motion = boundary_motion(object, window), risks = risks),
            class = "summary.linear_at")
}

#' @export
print.summary.linear_at <- function(x, ...) {
  print(x$fit)
  motion <- x$motion
  state <- if (motion$settles) "settled" else if (motion$alternates) "alternates" else "still changes"
  cat(sprintf("at the end: %s; %d changes of type, angle within %.3g degrees\n",
              state, motion$changes, motion$turn))
  if (!is.na(motion$between)) cat("mostly between:", motion$between, "\n")
  if (!is.null(x$risks)) {
    cat(sprintf("risk in closed form: standard %.4f, robust (eps = %g) %.4f\n",
                x$risks[1], x$fit$eps, x$risks[2]))
  }
  invisible(x)
}

#' @rdname summary.linear_at
#' @exportS3Method generics::tidy
#' @export tidy.linear_at
tidy.linear_at <- function(x, ...) {
  check_class(x, "linear_at", "fit_linear_at")
  data.frame(term = colnames(x$path), estimate = unname(c(x$b, x$w)),
             start = unname(x$path[1, ]))
}

#' @rdname summary.linear_at
#' @exportS3Method generics::glance
#' @export glance.linear_at
glance.linear_at <- function(x, window = 100, ...) {
  check_class(x, "linear_at", "fit_linear_at")
  window <- check_count(window)
  risk <- function(eps) {
    if (is.null(x$law)) NA_real_ else linear_risk_value(x, x$law, eps, x$norm)
  }
  cbind(data.frame(method = x$method, setting = x$setting, c = x$c, eps = x$eps, n = x$n,
                   iterations = x$options$iterations),
        boundary_motion(x, window),
        data.frame(standard_risk = risk(0), robust_risk = risk(x$eps)))
}

#' Picture of an adversarially trained linear classifier
#'
#' `type = "path"` draws the angle of the boundary in each iteration, with its type as shape.
#' `"boundary"` draws the final boundary and the training points as the adversary moves them
#' under the final model.
#'
#' @param object,x A fit of [fit_linear_at()].
#' @param data The training data, required for `type = "boundary"`.
#' @param type `"path"` or `"boundary"`.
#' @param ... Not used.
#' @return A ggplot.
#' @examples
#' fit <- fit_linear_at(three_clusters(300, seed = 1), "r-at", setting = "large-step")
#' autoplot(fit)
#' @family functions of the Three Clusters
#' @export
autoplot.linear_at <- function(object, data = NULL, type = c("path", "boundary"), ...) {
  type <- check_choice(type, c("path", "boundary"))
  if (type == "path") return(plot_path(list(object)))
  if (is.null(data)) {
    abort(c("{.arg data} must be given to draw the boundary with the training points.",
            "i" = "Give the data that the model was fitted to, or use {.code type = \"path\"}."))
  }
  plot_training_frames(list(list(fit = object, iteration = object$options$iterations)), data)
}
